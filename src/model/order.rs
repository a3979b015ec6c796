//! Sorting and grouping for lists of a page or a document.
//!
//! The standard library's sort is compiled again for each type and comparison, to 6 KB of code each time. Here one sort of positions
//! serves all types; it costs an allocation, and an indirect call for each comparison.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Sorts, and keeps the order of equal elements.
pub trait Order<T> {
    /// By a comparison.
    fn order_by(&mut self, by: impl FnMut(&T, &T) -> Ordering);

    /// By a key, which is made for each comparison.
    fn order_by_key<K: Ord>(&mut self, mut key: impl FnMut(&T) -> K) {
        self.order_by(|a, b| key(a).cmp(&key(b)));
    }
}

impl<T> Order<T> for [T] {
    fn order_by(&mut self, mut by: impl FnMut(&T, &T) -> Ordering) {
        let mut from = positions(self.len(), &mut |a, b| by(&self[a], &self[b]));
        // Each cycle of places is rotated; a place that has its element names itself.
        for start in 0..from.len() {
            let mut at = start;
            loop {
                let next = std::mem::replace(&mut from[at], at);
                if next == start {
                    break;
                }
                self.swap(at, next);
                at = next;
            }
        }
    }
}

/// For each place the position of the element that belongs there.
fn positions(len: usize, by: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut from: Vec<usize> = (0..len).collect();
    from.sort_by(|a, b| by(*a, *b));
    from
}

/// What is there, sorted, each once.
pub fn distinct<T: Ord>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.into_iter().collect();
    all.order_by(Ord::cmp);
    all.dedup();
    all
}

/// A map of `pairs`. Where a map is collected they are sorted first, by one more sort for each type.
pub fn mapped<K: Ord, V>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(pairs);
    map
}

/// Values by their keys, in the order in which the keys come.
pub fn grouped<K: PartialEq, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Vec<(K, Vec<V>)> {
    let mut all: Vec<(K, Vec<V>)> = Vec::new();
    for (key, value) in pairs {
        match all.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => all.push((key, vec![value])),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_sorts_as_the_standard_library_does(list in proptest::collection::vec((0u8..20, any::<u16>()), 0..200)) {
            let (mut theirs, mut ours, mut by_key) = (list.clone(), list.clone(), list);
            theirs.sort_by_key(|x| std::cmp::Reverse(x.0));
            ours.order_by(|a, b| b.0.cmp(&a.0));
            by_key.order_by_key(|x| std::cmp::Reverse(x.0));
            prop_assert_eq!(&ours, &theirs);
            prop_assert_eq!(&by_key, &theirs);
            let set: std::collections::BTreeSet<_> = theirs.iter().copied().collect();
            prop_assert_eq!(distinct(theirs), Vec::from_iter(set));
        }
    }
}
