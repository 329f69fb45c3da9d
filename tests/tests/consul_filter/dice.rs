//! Choices that a number makes, the same ones every time; and the many ways to write a text.

pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    pub(crate) fn blank(&mut self) -> String {
        [" ", " ", " ", " ", "  ", "\t", "\n", "\r\n "][self.below(8)].to_owned()
    }

    pub(crate) fn perhaps_blank(&mut self) -> String {
        if self.one_in(3) { String::new() } else { self.blank() }
    }

    /// A text as a value: bare where that is possible, else in quotes.
    pub(crate) fn written(&mut self, text: &str) -> String {
        let bare = text.starts_with(|char: char| char.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        // Now and then bare where it is not.
        if (bare && self.one_in(2)) || self.one_in(40) { text.to_owned() } else { self.quoted(text) }
    }

    /// A text in quotes of either kind, with escapes that are needed and some that are not.
    pub(crate) fn quoted(&mut self, text: &str) -> String {
        if !text.contains(['`', '\r']) && self.one_in(2) {
            return format!("`{text}`");
        }
        let mut quoted = String::from("\"");
        for char in text.chars() {
            let escaped = match char {
                '"' => "\\x22".to_owned(),
                '\\' => "\\\\".to_owned(),
                '\n' => "\\n".to_owned(),
                '\t' if self.one_in(2) => "\\t".to_owned(),
                _ if self.one_in(12) => self.escaped(char),
                _ => char.to_string(),
            };
            quoted.push_str(&escaped);
        }
        quoted.push('"');
        quoted
    }

    fn escaped(&mut self, char: char) -> String {
        let code = u32::from(char);
        match self.below(4) {
            0 if code < 0x10000 => format!("\\u{code:04x}"),
            1 => format!("\\U{code:08X}"),
            2 => char.to_string().bytes().map(|byte| format!("\\{byte:03o}")).collect(),
            _ => char.to_string().bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
        }
    }

    /// A key behind a selector.
    pub(crate) fn index(&mut self, key: &str) -> String {
        let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if plain && !self.one_in(4) {
            return format!(".{key}");
        }
        let inside = self.quoted(key);
        let blank = if self.one_in(4) { self.blank() } else { String::new() };
        format!("[{blank}{inside}{blank}]")
    }
}
