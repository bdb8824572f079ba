//! The text of a safetensors header: what the crate `safetensors` demands, and what it lets pass.

use safetensors::tensor::Metadata;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// Name, dtype, shape, first byte and one beyond the last, counted from the end of the header.
pub type Stored = (String, String, Vec<usize>, usize, usize);

/// Parses the JSON text of a header that is followed by `data_bytes` bytes of data; metadata come beside the tensors.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(bytes: &[u8], data_bytes: u64) -> Result<(Vec<Stored>, BTreeMap<String, String>), String> {
    let text = std::str::from_utf8(bytes).map_err(|e| format!("header: {e}"))?;
    serde_json::from_str::<Strict>(text).map_err(|e| format!("header: {e}"))?;
    let header: Metadata = serde_json::from_str(text).map_err(|e| format!("header: {e}"))?;
    let end = header.data_len() as u64;
    if end != data_bytes {
        return Err(format!("the header describes {end} bytes of data, the file holds {data_bytes}"));
    }
    let mut stored: Vec<Stored> = header
        .tensors()
        .into_iter()
        .map(|(name, info)| {
            let (start, end) = info.data_offsets;
            (name, info.dtype.to_string(), info.shape.clone(), start, end)
        })
        .collect();
    stored.sort_by(|a, b| (a.3, a.4, &a.0).cmp(&(b.3, b.4, &b.0)));
    Ok((stored, header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect()))
}

/// Checks what the crate lets pass: keys that stand twice (the last one wins there), fields it does not know, entries
/// that are JSON arrays; and ranks that NumPy does not hold, so that no short text becomes a long list.
struct Strict;

/// An object of texts whose keys differ.
struct Texts;

/// What stands under the name of a tensor.
struct Entry;

/// At most [`MAX_RANK`] lengths.
struct Shape;

const MAX_RANK: usize = 64;

macro_rules! visited {
    ($target:ty, $deserialize:ident, $expecting:literal, |$access:ident: $kind:ident| $body:block) => {
        impl<'de> Deserialize<'de> for $target {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visit;
                impl<'de> Visitor<'de> for Visit {
                    type Value = $target;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    visited!($target, $kind, $access, $body);
                }
                deserializer.$deserialize(Visit)
            }
        }
    };
    ($target:ty, MapAccess, $access:ident, $body:block) => {
        fn visit_map<A: MapAccess<'de>>(self, mut $access: A) -> Result<$target, A::Error> $body
    };
    ($target:ty, SeqAccess, $access:ident, $body:block) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut $access: A) -> Result<$target, A::Error> $body
    };
}

visited!(Strict, deserialize_map, "an object of tensors", |map: MapAccess| {
    let mut seen = HashSet::new();
    while let Some(key) = map.next_key::<String>()? {
        if key == "__metadata__" {
            map.next_value::<Option<Texts>>()?;
        } else {
            map.next_value::<Entry>()?;
        }
        if !seen.insert(key) {
            return Err(A::Error::custom("a key stands twice"));
        }
    }
    Ok(Strict)
});

visited!(Texts, deserialize_map, "an object of texts", |map: MapAccess| {
    let mut seen = HashSet::new();
    while let Some((key, _)) = map.next_entry::<String, String>()? {
        if !seen.insert(key) {
            return Err(A::Error::custom("a key of __metadata__ stands twice"));
        }
    }
    Ok(Texts)
});

visited!(Entry, deserialize_map, "an object", |map: MapAccess| {
    let mut seen = HashSet::new();
    while let Some(key) = map.next_key::<String>()? {
        match key.as_str() {
            "dtype" => map.next_value::<String>().map(drop)?,
            "shape" => map.next_value::<Shape>().map(drop)?,
            "data_offsets" => map.next_value::<[u64; 2]>().map(drop)?,
            _ => return Err(A::Error::custom(format_args!("unknown field {key:?}"))),
        }
        if !seen.insert(key) {
            return Err(A::Error::custom("a field stands twice"));
        }
    }
    if seen.len() == 3 { Ok(Entry) } else { Err(A::Error::custom("want dtype, shape and data_offsets")) }
});

visited!(Shape, deserialize_seq, "at most 64 lengths", |seq: SeqAccess| {
    let mut rank = 0;
    while seq.next_element::<u64>()?.is_some() {
        rank += 1;
        if rank > MAX_RANK {
            return Err(A::Error::custom("a shape has more than 64 lengths"));
        }
    }
    Ok(Shape)
});
