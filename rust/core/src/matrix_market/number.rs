//! Numbers of Matrix Market files: one reading of a token, or none.

use super::fault;

/// What is wrong with a token: one of the codes of [`fault`].
type Read<T> = Result<T, i64>;

/// A cursor on a line.
#[derive(Clone, Copy)]
pub(super) struct Line<'a>(pub(super) &'a [u8]);

/// Whether a byte separates tokens within a line.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

impl<'a> Line<'a> {
    /// Skips blanks.
    pub(super) fn skip(&mut self) {
        let at = self.0.iter().position(|&b| !is_blank(b)).unwrap_or(self.0.len());
        self.0 = &self.0[at..];
    }

    /// Whether the token that began before this place ends here.
    fn ends(&self) -> bool {
        self.0.first().is_none_or(|&b| is_blank(b))
    }

    /// The rest of the token.
    fn token(&mut self) -> &'a [u8] {
        let (token, rest) = self.0.split_at(self.0.iter().position(|&b| is_blank(b)).unwrap_or(self.0.len()));
        self.0 = rest;
        token
    }

    /// A number from 1 on.
    pub(super) fn index(&mut self) -> Read<u64> {
        self.skip();
        if self.0.is_empty() {
            return Err(fault::FEW);
        }
        let start = usize::from(self.0[0] == b'+');
        let (mut value, mut at) = (0u64, start);
        while let Some(digit) = self.0.get(at).map(|b| b.wrapping_sub(b'0')).filter(|&d| d < 10) {
            value = value.saturating_mul(10).saturating_add(u64::from(digit));
            at += 1;
        }
        self.0 = &self.0[at..];
        if at == start || !self.ends() { Err(fault::INDEX) } else { Ok(value) }
    }

    /// A real number, correctly rounded.
    pub(super) fn real(&mut self) -> Read<f64> {
        self.skip();
        if self.0.is_empty() {
            return Err(fault::FEW);
        }
        if let Ok((value, used)) = fast_float2::parse_partial::<f64, _>(self.0)
            && self.0.get(used).is_none_or(|&b| is_blank(b))
        {
            self.0 = &self.0[used..];
            return Ok(value);
        }
        let number = Decimal::new(self.token()).ok_or(fault::NUMBER)?;
        fast_float2::parse(number.text()).map_err(|_| fault::NUMBER)
    }

    /// A whole number, in whatever form it is written.
    pub(super) fn whole(&mut self) -> Read<i128> {
        self.skip();
        let (minus, start) = match self.0 {
            [] => return Err(fault::FEW),
            [b'-', ..] => (true, 1),
            [b'+', ..] => (false, 1),
            _ => (false, 0),
        };
        let (mut value, mut at) = (0i128, start);
        while let Some(digit) = self.0.get(at).map(|b| b.wrapping_sub(b'0')).filter(|&d| d < 10) {
            value = value.saturating_mul(10).saturating_add(i128::from(digit));
            at += 1;
        }
        if at > start && self.0.get(at).is_none_or(|&b| is_blank(b)) {
            self.0 = &self.0[at..];
            return Ok(if minus { -value } else { value });
        }
        Decimal::new(self.token()).ok_or(fault::NUMBER)?.whole()
    }
}

/// The parts of a decimal number: `[sign] digits [. digits] [exponent]`, the exponent also after a `D` or a bare sign.
struct Decimal<'a> {
    minus: bool,
    before: &'a [u8],
    after: &'a [u8],
    exponent: i64,
}

/// Takes the digits at the front of `text`.
fn digits<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let (some, rest) = text.split_at(text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len()));
    *text = rest;
    some
}

/// Takes a sign at the front of `text`; whether it is a minus.
fn sign(text: &mut &[u8]) -> Option<bool> {
    let (first, rest) = text.split_first()?;
    let minus = match first {
        b'-' => true,
        b'+' => false,
        _ => return None,
    };
    *text = rest;
    Some(minus)
}

impl<'a> Decimal<'a> {
    fn new(mut text: &'a [u8]) -> Option<Self> {
        let minus = sign(&mut text) == Some(true);
        let before = digits(&mut text);
        let mut after: &[u8] = &[];
        if let [b'.', rest @ ..] = text {
            text = rest;
            after = digits(&mut text);
        }
        if before.is_empty() && after.is_empty() {
            return None;
        }
        let mut exponent = 0i64;
        if !text.is_empty() {
            let marked = matches!(text[0], b'e' | b'E' | b'd' | b'D');
            text = &text[usize::from(marked)..];
            let below = match sign(&mut text) {
                Some(minus) => minus,
                None if marked => false,
                None => return None,
            };
            let some = digits(&mut text);
            if some.is_empty() || !text.is_empty() {
                return None;
            }
            for digit in some {
                exponent = (exponent * 10 + i64::from(digit - b'0')).min(1 << 40);
            }
            exponent = if below { -exponent } else { exponent };
        }
        Some(Self { minus, before, after, exponent })
    }

    /// As other readers write it.
    fn text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.before.len() + self.after.len() + 24);
        text.extend_from_slice(if self.minus { b"-" } else { b"" });
        text.extend_from_slice(self.before);
        text.push(b'.');
        text.extend_from_slice(self.after);
        text.extend_from_slice(format!("e{}", self.exponent).as_bytes());
        text
    }

    /// As a whole number.
    fn whole(&self) -> Read<i128> {
        let all = || self.before.iter().chain(self.after).copied();
        let end = all().rev().position(|b| b != b'0').map_or(0, |zeros| self.before.len() + self.after.len() - zeros);
        if end == 0 {
            return Ok(0);
        }
        let zeros = self.exponent - self.after.len() as i64 + (self.before.len() + self.after.len() - end) as i64;
        if zeros < 0 {
            return Err(fault::FRACTION);
        }
        let mut value = 0i128;
        for byte in all().take(end).chain(std::iter::repeat_n(b'0', zeros.min(40) as usize)) {
            value = value.saturating_mul(10).saturating_add(i128::from(byte - b'0'));
        }
        Ok(if self.minus { -value } else { value })
    }
}
