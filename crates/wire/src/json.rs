//! Walking JSON text without parsing it: everything that is not asked for is skipped, and strings
//! are skipped at the speed of a byte search. Nothing is decoded, so what comes out is raw text.
//!
//! The walk is lenient (it does not check what it skips) but never guesses: where it cannot go on
//! it stops, and [`Cursor::broken`] says so. Containers are counted, not recursed into, so depth
//! costs nothing.

use memchr::memchr;

/// A place in JSON text.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    broken: bool,
    loose: bool,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { rest: text, broken: false, loose: false }
    }

    /// The walk met something that is not JSON, or the text's end.
    pub(crate) fn broken(&self) -> bool {
        self.broken
    }

    /// A quote or an opening bracket stood within a number or word, so that there is more than one
    /// way to read on.
    pub(crate) fn loose(&self) -> bool {
        self.loose
    }

    /// Only white space is left, and all before was JSON as far as looked at.
    pub(crate) fn ended(&mut self) -> bool {
        self.peek().is_none() && !self.broken
    }

    /// So many bytes are still ahead.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// What lies between here and a later place in the same text.
    pub(crate) fn until(&self, later: &Self) -> Option<&'a [u8]> {
        self.rest.get(..self.rest.len().checked_sub(later.rest.len())?)
    }

    /// The next byte that is not white space.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        // Between programs, white space is rare.
        if self.rest.first().is_none_or(|byte| *byte <= b' ') {
            self.rest = self.rest.trim_ascii_start();
        }
        self.rest.first().copied()
    }

    /// Steps over `byte` if it comes next.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        found
    }

    /// The next key of the object that the cursor is in; its value comes next. `None` at the
    /// object's end, which is stepped over.
    pub(crate) fn key(&mut self) -> Option<&'a [u8]> {
        // As programs write it, without white space: all in one look.
        if let [b',', b'"', inside @ ..] | [b'"', inside @ ..] = self.rest
            && !self.broken
            && let Some(length) = string_length(inside)
            && let Some((key, [b'"', b':', rest @ ..])) = inside.split_at_checked(length)
        {
            self.rest = rest;
            return Some(key);
        }
        self.spaced_key()
    }

    #[cold]
    #[inline(never)]
    fn spaced_key(&mut self) -> Option<&'a [u8]> {
        self.take(b',');
        if self.take(b'}') || self.broken {
            return None;
        }
        let key = self.string();
        if key.is_some() && self.take(b':') {
            return key;
        }
        self.broken = true;
        None
    }

    /// True when the array that the cursor is in has another item; its end is stepped over.
    pub(crate) fn item(&mut self) -> bool {
        self.take(b',');
        if self.take(b']') || self.broken {
            return false;
        }
        self.broken = self.peek().is_none();
        !self.broken
    }

    /// The string that comes next, as it is written between its quotes.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        if self.peek() == Some(b'"')
            && let Some(inside) = self.rest.get(1..)
            && let Some(length) = string_length(inside)
        {
            self.rest = inside.get(length + 1..).unwrap_or_default();
            return inside.get(..length);
        }
        self.broken = true;
        None
    }

    /// The value that comes next, whatever it is, as it is written.
    pub(crate) fn value(&mut self) -> Option<&'a [u8]> {
        let length = match self.peek()? {
            b'"' => string_length(self.rest.get(1..)?).map(|inside| inside + 2),
            b'{' | b'[' => container_length(self.rest),
            _ => self.scalar_length(),
        };
        let found = length.and_then(|length| self.rest.split_at_checked(length));
        if let Some((value, rest)) = found {
            self.rest = rest;
            return Some(value);
        }
        self.broken = true;
        None
    }

    fn scalar_length(&mut self) -> Option<usize> {
        let end =
            |byte: &u8| matches!(byte, b',' | b'}' | b']' | b':') || byte.is_ascii_whitespace();
        let odd = |byte: &u8| matches!(byte, b'"' | b'{' | b'[');
        let mut length = self.rest.iter().position(|byte| end(byte) || odd(byte));
        if length.and_then(|length| self.rest.get(length)).is_some_and(odd) {
            self.loose = true;
            length = self.rest.iter().position(end);
        }
        Some(length.unwrap_or(self.rest.len())).filter(|length| *length > 0)
    }

    /// Hands the members of the object that comes next to `member`, which takes each one's value off
    /// the cursor. Steps over the value that comes next in any case; what is no object has no
    /// members, and one that is not well formed has those before the fault.
    pub(crate) fn object(&mut self, mut member: impl FnMut(&'a [u8], &mut Self)) {
        let before = self.clone();
        if self.take(b'{') {
            while let Some(key) = self.key() {
                member(key, self);
            }
            if !self.broken && !self.loose {
                return;
            }
            *self = before;
        }
        self.value();
    }

    /// Steps over the rest of the array or object that the cursor is in, its end included.
    pub(crate) fn leave(&mut self) {
        match close(self.rest) {
            Some(length) => self.rest = self.rest.get(length..).unwrap_or_default(),
            None => self.broken = true,
        }
    }
}

/// The members of an object, both sides raw. Ends early where the text is not JSON.
pub(crate) fn members(object: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut cursor = Cursor::new(object);
    let mut open = cursor.take(b'{');
    std::iter::from_fn(move || {
        let member =
            if open { cursor.key().and_then(|key| Some((key, cursor.value()?))) } else { None };
        open = member.is_some();
        member
    })
}

/// The items of an array, raw. Ends early where the text is not JSON.
pub(crate) fn items(array: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut cursor = Cursor::new(array);
    let mut open = cursor.take(b'[');
    std::iter::from_fn(move || {
        let item = if open && cursor.item() { cursor.value() } else { None };
        open = item.is_some();
        item
    })
}

/// So many times eight bytes are looked at before a search with vectors begins.
const WORDS: usize = 3;

/// What a raw value holds between its quotes, if it is a string.
pub(crate) fn unquoted(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// From behind the opening quote to the closing one. Only quotes stop the search: escapes are
/// recognised backwards, so that text full of `\n` is skipped at full speed. Most strings are keys
/// and words, and over before a search with vectors has begun; so the first few bytes are looked at
/// eight at a time.
#[inline]
pub(crate) fn string_length(inside: &[u8]) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let words = inside.as_chunks::<8>().0;
    for (index, word) in words.iter().take(WORDS).enumerate() {
        // A quote becomes zero, and only below a zero byte does the subtraction borrow; so the
        // lowest bit found is right.
        let word = u64::from_le_bytes(*word) ^ (EACH * u64::from(b'"'));
        let found = word.wrapping_sub(EACH) & !word & (EACH << 7);
        if found != 0 {
            let quote = 8 * index + found.trailing_zeros() as usize / 8;
            return match inside.get(..quote) {
                Some([.., b'\\']) => escaped_string_length(inside, quote),
                _ => Some(quote),
            };
        }
    }
    long_string_length(inside, 8 * words.len().min(WORDS))
}

/// The same, when there is no quote before `from`.
#[inline(never)]
fn long_string_length(inside: &[u8], from: usize) -> Option<usize> {
    escaped_string_length(inside, from + memchr(b'"', inside.get(from..)?)?)
}

/// The same, when the first quote is known; there may be a backslash before it.
#[inline(never)]
fn escaped_string_length(inside: &[u8], mut quote: usize) -> Option<usize> {
    while ends_in_escape(inside.get(..quote)?) {
        // Where one escaped quote stands, others are near: JSON or code within the string.
        let mut from = quote + 1;
        from += escaped_length(inside, from);
        quote = from + memchr(b'"', inside.get(from..)?)?;
    }
    Some(quote)
}

/// The backslash at the end of `text`, if there is one, escapes what follows.
pub(crate) fn ends_in_escape(text: &[u8]) -> bool {
    text.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// How far the string's text surely goes on behind `from`: blocks in which every quote has exactly
/// one backslash before it, or three, as in JSON or code within a string within the string. There
/// are no branches within a block, so that it compiles to vector instructions.
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator is a branch")]
fn escaped_length(inside: &[u8], from: usize) -> usize {
    const BLOCK: usize = 64;
    const BEFORE: usize = 4;
    /// Then a plain search may be faster again.
    const FAR: usize = 1024;
    let Some(text) = from.checked_sub(BEFORE).and_then(|from| inside.get(from..)) else { return 0 };
    let mut length = 0;
    while length < FAR
        && let Some(block) = text.get(length..length + BEFORE + BLOCK)
    {
        let escape = |back: usize| block.iter().skip(BEFORE - back).map(|byte| *byte == b'\\');
        let escapes = escape(1).zip(escape(2)).zip(escape(3)).zip(escape(4));
        let closes = block.iter().skip(BEFORE).zip(escapes).fold(
            false,
            |closes, (byte, (((one, two), three), four))| {
                closes | ((*byte == b'"') & !(one & (!two | (three & !four))))
            },
        );
        if closes {
            break;
        }
        length += BLOCK;
    }
    length
}

fn container_length(text: &[u8]) -> Option<usize> {
    close(text.get(1..)?).map(|length| length + 1)
}

/// Behind the bracket that closes the one that `text` stands behind.
pub(crate) fn close(text: &[u8]) -> Option<usize> {
    let mut depth = 1_usize;
    let mut at = 0;
    loop {
        let byte = *text.get(at)?;
        at += 1;
        if byte == b'"' {
            at += string_length(text.get(at..)?)? + 1;
            continue;
        }
        // Square brackets and curly ones differ in one bit.
        match byte | 0x20 {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check_members(object: &str, expected: &[(&str, &str)]) {
        let found: Vec<_> = members(object.as_bytes())
            .map(|(key, value)| {
                (str::from_utf8(key).unwrap().to_owned(), str::from_utf8(value).unwrap().to_owned())
            })
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(found, expected, "{object}");
    }

    #[test]
    fn members_come_out_raw() {
        check_members("{}", &[]);
        check_members(
            r#" { "a" : 1 , "b":[1,{"c":"]"}],"d":"x\"y" } "#,
            &[("a", "1"), ("b", r#"[1,{"c":"]"}]"#), ("d", r#""x\"y""#)],
        );
        check_members(r#"{"a":"\\","b":null}"#, &[("a", r#""\\""#), ("b", "null")]);
    }

    #[test]
    fn what_is_not_json_ends_the_walk() {
        check_members("", &[]);
        check_members("[1]", &[]);
        check_members(r#"{"a":1,"b":[1,2"#, &[("a", "1")]);
        check_members(r#"{"a":1 "b""#, &[("a", "1")]);
        check_members(r#"{"a":}"#, &[]);
        check_members(r#"{"a":"never closed}"#, &[]);
    }

    #[test]
    fn items_and_leaving() {
        let found: Vec<_> = items(br#"[ 1, "a,b" ,{"c":[]},[]]"#).collect();
        assert_eq!(found, [&b"1"[..], br#""a,b""#, br#"{"c":[]}"#, b"[]"]);

        let mut cursor = Cursor::new(br#"[1,{"a":["]"]},3] , "after""#);
        assert!(cursor.take(b'[') && cursor.item());
        cursor.leave();
        assert!(cursor.take(b','));
        assert_eq!(cursor.string(), Some(&b"after"[..]));
        assert!(cursor.ended());
    }

    #[test]
    fn many_escaped_quotes_take_linear_time() {
        let text = format!("\"{}\"", "\\\\\\\"".repeat(100_000));
        assert_eq!(Cursor::new(text.as_bytes()).value().map(<[u8]>::len), Some(text.len()));
    }

    /// By definition: forwards, one byte at a time.
    fn plain_string_length(inside: &[u8]) -> Option<usize> {
        let mut escaped = false;
        inside.iter().position(|byte| {
            let closes = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            closes
        })
    }

    proptest! {
        #[test]
        fn strings_end_where_they_end(
            pieces in prop::collection::vec(
                prop_oneof![
                    Just(r#"\""#.to_owned()),
                    Just(r#"\\\""#.to_owned()),
                    r#"[\\"a]{0,9}"#,
                    "a{0,80}",
                ],
                0..60,
            ),
        ) {
            let text = pieces.concat();
            prop_assert_eq!(string_length(text.as_bytes()), plain_string_length(text.as_bytes()));
        }

        #[test]
        fn a_document_is_walked_as_it_was_written(value in crate::tests::document()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let mut cursor = Cursor::new(text.as_bytes());
                prop_assert_eq!(cursor.value(), Some(text.as_bytes()));
                prop_assert!(cursor.ended());
                for (key, member) in members(text.as_bytes()) {
                    let key: String = serde_json::from_str(&format!("\"{}\"", str::from_utf8(key).unwrap())).unwrap();
                    let member: serde_json::Value = serde_json::from_slice(member).unwrap();
                    prop_assert_eq!(Some(&member), value.get(&key));
                }
                let found: Vec<serde_json::Value> =
                    items(text.as_bytes()).map(|item| serde_json::from_slice(item).unwrap()).collect();
                prop_assert_eq!(found, value.as_array().cloned().unwrap_or_default());
            }
        }

        #[test]
        fn anything_may_come(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut cursor = Cursor::new(&text);
            while cursor.value().is_some() {}
            members(&text).count();
            items(&text).count();
        }
    }
}
