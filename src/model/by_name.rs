//! Reading documents whose objects are objects.
//!
//! What serde derives for a struct reads a list of its values as well, which no document here is: a second reader of each type,
//! and a mistake that passes. Here a struct is read from an object only; everything else is passed on as it is.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};

/// The document in `from`, of any format.
pub fn of<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    T::deserialize(ByName(from))
}

/// The document of JSON in `text`. Errors name the line and column.
pub fn read<'de, T: Deserialize<'de>>(text: &'de str) -> serde_json::Result<T> {
    let mut json = serde_json::Deserializer::from_str(text);
    let document = of(&mut json)?;
    json.end()?;
    Ok(document)
}

/// Whatever serde hands to whatever, so that all below a document is read in this way.
struct ByName<T>(T);

/// The visitor of a struct: it takes an object and nothing else.
struct Object<V>(V);

/// Methods of a [`Deserializer`] that pass a visitor on: as it is, where nothing lies below what it visits, or wrapped.
macro_rules! pass_on {
    ($($method:ident($($argument:ident: $of:ty),*) $visitor:ident => $handed:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(self, $($argument: $of,)* $visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($argument,)* $handed)
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for ByName<D> {
    type Error = D::Error;

    pass_on! {
        deserialize_any() visitor => visitor;
        deserialize_bool() visitor => visitor;
        deserialize_i8() visitor => visitor;
        deserialize_i16() visitor => visitor;
        deserialize_i32() visitor => visitor;
        deserialize_i64() visitor => visitor;
        deserialize_u8() visitor => visitor;
        deserialize_u16() visitor => visitor;
        deserialize_u32() visitor => visitor;
        deserialize_u64() visitor => visitor;
        deserialize_f32() visitor => visitor;
        deserialize_f64() visitor => visitor;
        deserialize_char() visitor => visitor;
        deserialize_str() visitor => visitor;
        deserialize_string() visitor => visitor;
        deserialize_bytes() visitor => visitor;
        deserialize_byte_buf() visitor => visitor;
        deserialize_unit() visitor => visitor;
        deserialize_unit_struct(name: &'static str) visitor => visitor;
        deserialize_identifier() visitor => visitor;
        deserialize_ignored_any() visitor => visitor;
        deserialize_option() visitor => ByName(visitor);
        deserialize_newtype_struct(name: &'static str) visitor => ByName(visitor);
        deserialize_seq() visitor => ByName(visitor);
        deserialize_tuple(len: usize) visitor => ByName(visitor);
        deserialize_tuple_struct(name: &'static str, len: usize) visitor => ByName(visitor);
        deserialize_map() visitor => ByName(visitor);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) visitor => ByName(visitor);
    }

    // A reader of a part inside that of the whole has the whole's parts to drop wherever it may fail: a third more code.
    #[inline(never)]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Object(visitor))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Object<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(ByName(map))
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for ByName<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(ByName(value))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(ByName(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(ByName(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(ByName(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(ByName(variant))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for ByName<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(ByName(value))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for ByName<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(ByName(seed))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for ByName<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(ByName(seed))
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for ByName<A> {
    type Error = A::Error;
    type Variant = ByName<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        self.0.variant_seed(seed).map(|(name, of)| (name, ByName(of)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for ByName<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(ByName(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, ByName(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Object(visitor))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Part {
        a: Option<u32>,
        #[serde(default)]
        b: Vec<Part>,
        #[serde(default)]
        c: BTreeMap<String, Kind>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Kind {
        Plain,
        Of(Box<Part>),
        Both(u8, Box<Part>),
        Named { part: Box<Part> },
    }

    #[test]
    fn what_serde_json_reads_is_read_and_lists_in_place_of_objects_are_not() {
        for good in [
            r#"{"a": 1, "b": [{"a": null}], "c": {"x": "plain", "y": {"of": {"a": 2}}}}"#,
            r#"{"a": 1, "c": {"x": {"both": [3, {"a": 4}]}, "y": {"named": {"part": {"a": 5}}}}}"#,
        ] {
            assert_eq!(read::<Part>(good).expect("good"), serde_json::from_str(good).expect("good"), "{good}");
        }
        for list in [
            "[1, [], {}]",
            r#"{"b": [[1, [], {}]]}"#,
            r#"{"c": {"x": {"of": [1, [], {}]}}}"#,
            r#"{"c": {"x": {"both": [3, [4, [], {}]]}}}"#,
            r#"{"c": {"x": {"named": [[5, [], {}]]}}}"#,
            r#"{"c": {"x": {"named": {"part": [5, [], {}]}}}}"#,
        ] {
            assert!(serde_json::from_str::<Part>(list).is_ok(), "{list}");
            let error = read::<Part>(list).expect_err(list).to_string();
            assert!(
                error.starts_with("invalid type: sequence, expected struct ") && error.contains(" at line 1 column "),
                "{error}"
            );
        }
        assert!(read::<Part>("{} {}").is_err() && read::<Part>(r#"{"a": "1"}"#).is_err());
    }
}
