//! What is known of the caches of this machine. It decides how results are written, never what they are.

use once_cell::race::OnceBox;

/// Bytes that no cache holds for long, where nothing is known.
const MANY: usize = 64 << 20;
/// Bytes that are written through the caches on any machine.
const FEW: usize = 16 << 20;

/// The bytes of "8192K", as Linux writes sizes of caches.
fn size(text: &str) -> Option<usize> {
    let text = text.trim();
    let (number, unit) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        _ => (text, 0),
    };
    number.parse::<usize>().ok()?.checked_shl(unit)
}

fn from_size(cache: Option<usize>) -> usize {
    cache.map_or(MANY, |bytes| bytes.saturating_mul(4).clamp(FEW, MANY))
}

/// The least copy that is written past the caches: with what it is made from it is twice the last of them, so the next
/// one to read it finds nothing of its beginning there.
pub(crate) fn copied_past_from() -> usize {
    streamed_from() / 4
}

/// The least result that is written past the caches: four times the last of them.
pub(crate) fn streamed_from() -> usize {
    static BYTES: OnceBox<usize> = OnceBox::new();
    *BYTES.get_or_init(|| {
        let path = "/sys/devices/system/cpu/cpu0/cache/index3/size";
        Box::new(from_size(std::fs::read_to_string(path).ok().as_deref().and_then(size)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_caches_are_left_alone_early() {
        assert_eq!(from_size(size("8192K\n")), 32 << 20);
        assert_eq!(from_size(size("2M")), FEW);
        assert_eq!(from_size(size("266240K")), MANY);
        assert_eq!([size(""), size("K"), size("many")].map(from_size), [MANY; 3]);
        assert_eq!(size("12"), Some(12));
    }
}
