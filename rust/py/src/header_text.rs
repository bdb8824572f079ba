//! The text of a safetensors header: what the crate `safetensors` demands, and what it lets pass.

use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::de::value::StrDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// Name, dtype, shape, first byte and one beyond the last, counted from the end of the header.
pub type Stored = (String, Dtype, Vec<usize>, usize, usize);

/// Parses the JSON text of a header that is followed by `data_bytes` bytes of data; metadata come beside the tensors.
///
/// The text is walked through here, and what it says is checked by the crate, whose own walk keeps a tree of all of it.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(bytes: &[u8], data_bytes: u64) -> Result<(Vec<Stored>, BTreeMap<String, String>), String> {
    let text = std::str::from_utf8(bytes).map_err(|e| format!("header: {e}"))?;
    let Header { mut tensors, metadata } = serde_json::from_str(text).map_err(|e| format!("header: {e}"))?;
    let mut seen = HashSet::with_capacity(tensors.len());
    if !tensors.iter().all(|(name, _)| seen.insert(name.as_str())) {
        return Err("header: a key stands twice".into());
    }
    drop(seen);
    tensors.sort_by(|(a, x), (b, y)| (x.data_offsets, a).cmp(&(y.data_offsets, b)));
    let stored = tensors
        .iter()
        .map(|(name, info)| (name.clone(), info.dtype, info.shape.clone(), info.data_offsets.0, info.data_offsets.1))
        .collect();
    let end = Metadata::new(None, tensors).map_err(|e| format!("header: {e}"))?.data_len() as u64;
    if end != data_bytes {
        return Err(format!("the header describes {end} bytes of data, the file holds {data_bytes}"));
    }
    Ok((stored, metadata))
}

/// An object of tensors whose keys are not compared yet, and texts under `__metadata__`, which may be null.
struct Header {
    tensors: Vec<(String, TensorInfo)>,
    metadata: BTreeMap<String, String>,
}

/// An object of texts whose keys differ.
struct Texts(BTreeMap<String, String>);

/// What stands under the name of a tensor: an object of exactly three fields.
struct Entry(TensorInfo);

/// The name of a field of it.
enum Field {
    Dtype,
    Shape,
    DataOffsets,
}

/// A dtype, as a text.
struct Named(Dtype);

/// At most [`MAX_RANK`] lengths: NumPy holds no more, and no short text becomes a long list.
struct Shape(Vec<usize>);

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
    ($target:ty, str, $access:ident, $body:block) => {
        fn visit_str<A: serde::de::Error>(self, $access: &str) -> Result<$target, A> $body
    };
}

visited!(Header, deserialize_map, "an object of tensors", |map: MapAccess| {
    let (mut tensors, mut metadata) = (Vec::new(), None);
    while let Some(key) = map.next_key::<String>()? {
        if key != "__metadata__" {
            tensors.push((key, map.next_value::<Entry>()?.0));
        } else if metadata.replace(map.next_value::<Option<Texts>>()?).is_some() {
            return Err(A::Error::custom("a key stands twice"));
        }
    }
    let metadata = metadata.flatten().map(|texts| texts.0).unwrap_or_default();
    Ok(Header { tensors, metadata })
});

visited!(Texts, deserialize_map, "an object of texts", |map: MapAccess| {
    let mut texts = BTreeMap::new();
    while let Some((key, text)) = map.next_entry::<String, String>()? {
        if texts.insert(key, text).is_some() {
            return Err(A::Error::custom("a key of __metadata__ stands twice"));
        }
    }
    Ok(Texts(texts))
});

visited!(Entry, deserialize_map, "an object", |map: MapAccess| {
    let (mut dtype, mut shape, mut ends) = (None, None, None);
    while let Some(field) = map.next_key::<Field>()? {
        let twice = match field {
            Field::Dtype => dtype.replace(map.next_value::<Named>()?.0).is_some(),
            Field::Shape => shape.replace(map.next_value::<Shape>()?.0).is_some(),
            Field::DataOffsets => ends.replace(map.next_value::<(usize, usize)>()?).is_some(),
        };
        if twice {
            return Err(A::Error::custom("a field stands twice"));
        }
    }
    match (dtype, shape, ends) {
        (Some(dtype), Some(shape), Some(data_offsets)) => Ok(Entry(TensorInfo { dtype, shape, data_offsets })),
        _ => Err(A::Error::custom("want dtype, shape and data_offsets")),
    }
});

visited!(Field, deserialize_identifier, "the name of a field", |name: str| {
    match name {
        "dtype" => Ok(Field::Dtype),
        "shape" => Ok(Field::Shape),
        "data_offsets" => Ok(Field::DataOffsets),
        _ => Err(A::custom(format_args!("unknown field {name:?}"))),
    }
});

visited!(Named, deserialize_str, "the name of a dtype", |name: str| {
    Dtype::deserialize(StrDeserializer::new(name)).map(Named)
});

visited!(Shape, deserialize_seq, "at most 64 lengths", |seq: SeqAccess| {
    let mut shape = Vec::new();
    while let Some(length) = seq.next_element::<usize>()? {
        if shape.len() == MAX_RANK {
            return Err(A::Error::custom("a shape has more than 64 lengths"));
        }
        shape.push(length);
    }
    Ok(Shape(shape))
});
