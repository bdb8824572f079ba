//! The text of a safetensors header: a list of tensors that fill the data without gaps, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../rust/py/src/header_text.rs"]
mod header_text;

fuzz_target!(|input: &[u8]| {
    let Some((data_bytes, text)) = input.split_first_chunk::<2>() else { return };
    let data_bytes = u64::from(u16::from_le_bytes(*data_bytes));
    if let Ok((tensors, _)) = header_text::parse(text, data_bytes) {
        let mut at = 0;
        for (name, _, _, start, end) in &tensors {
            assert!(*start == at && end >= start, "{name} at {start}..{end}, after {at}");
            at = *end;
        }
        assert_eq!(at as u64, data_bytes);
    }
});
