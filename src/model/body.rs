//! What a request carries.

use std::borrow::Cow;
use std::sync::Arc;

/// The body of every request of a run. Serialised as its text, or as `{"file": "NAME", "bytes": N}`: the content of a file
/// stays out of the document.
#[apply(record)]
#[serde(untagged)]
pub enum Body {
    /// as typed
    Text(String),
    /// read from a file before the run
    File(FileBody),
}

/// The content of a file.
#[apply(record)]
pub struct FileBody {
    /// its name; `-` is standard input
    pub file: String,
    /// its length
    pub bytes: u64,
    /// what was read; empty in a plan that was stored
    #[serde(skip)]
    pub content: Arc<[u8]>,
}

impl Default for Body {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Body {
    /// The content of `file`.
    pub fn of_file(file: &str, content: Vec<u8>) -> Self {
        Self::File(FileBody { file: file.to_owned(), bytes: content.len() as u64, content: content.into() })
    }

    /// What goes out.
    pub fn content(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::File(file) => &file.content,
        }
    }

    /// Nothing is sent.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::File(file) => file.bytes == 0,
        }
    }

    /// As `--body` takes it: `@NAME` for a file, `@@...` for a text that begins with `@`.
    pub fn typed(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) if text.starts_with('@') => Cow::Owned(format!("@{text}")),
            Self::Text(text) => Cow::Borrowed(text),
            Self::File(file) => Cow::Owned(format!("@{}", file.file)),
        }
    }

    /// The method that sends it where none is asked for, as with curl.
    pub fn default_method(&self) -> &'static str {
        // An empty file was asked for all the same.
        if *self == Self::default() { "GET" } else { "POST" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_the_text_or_the_name_of_the_file() {
        let json = |body: &Body| serde_json::to_string(body).expect("plain data");
        assert_eq!(json(&"a=1".into()), "\"a=1\"");
        let file = Body::of_file("b.json", b"{}".to_vec());
        assert_eq!(json(&file), r#"{"file":"b.json","bytes":2}"#);
        let read: Body = serde_json::from_str(&json(&file)).expect("as written");
        assert_eq!((read.typed(), read.is_empty()), ("@b.json".into(), false));
    }

    #[test]
    fn what_is_typed_tells_texts_and_files_apart() {
        let typed = |body: Body| body.typed().into_owned();
        assert_eq!([typed("x".into()), typed("@x".into()), typed(Body::of_file("x", Vec::new()))], ["x", "@@x", "@x"]);
        assert_eq!((Body::default().default_method(), Body::of_file("x", Vec::new()).default_method()), ("GET", "POST"));
    }
}
