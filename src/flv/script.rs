//! Script data: the values of AMF 0 that `onMetaData` is made of (FLV specification, E.4.4).

/// A value of a script data tag.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A 64-bit floating-point number.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Text; what goes beyond 65,535 bytes of UTF-8 is cut off at a character.
    String(String),
    /// Named values.
    Object(Vec<(String, Value)>),
    /// Named values, preceded by their number.
    EcmaArray(Vec<(String, Value)>),
    /// Values without names.
    StrictArray(Vec<Value>),
    /// Nothing.
    Null,
    /// Nothing was ever set.
    Undefined,
    /// A point in time.
    Date {
        /// Milliseconds since 1970.
        milliseconds: f64,
        /// Minutes by which the local time is ahead of UTC.
        minutes_from_utc: i16,
    },
}

/// Why script data cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The data end within a value.
    #[error("script data end within a value")]
    Truncated,
    /// A type that is not defined, or that no metadata has.
    #[error("script data have a value of type {0}")]
    Type(u8),
    /// Objects within objects, too many.
    #[error("script data are nested more than {MAX_DEPTH} deep")]
    Depth,
    /// They would take too much memory.
    #[error("script data take more than {} MiB of memory", MAX_MEMORY >> 20)]
    Memory,
}

/// Objects within objects at most.
const MAX_DEPTH: u32 = 32;
/// Memory that values may take: somewhat more than the largest index of key frames that fits into a tag.
const MAX_MEMORY: usize = 64 << 20;

/// Reads the body of a script data tag: a name, such as `onMetaData`, and the value that belongs to it. Also tells how
/// many bytes follow them.
///
/// An object or an ECMA array that ends without its end marker is taken as it is. Long strings and XML become
/// [`Value::String`], and bytes that are no UTF-8 become U+FFFD.
///
/// # Errors
/// If they cannot be read, or would take more than 64 MiB of memory.
pub fn read_script(body: &[u8]) -> Result<(Value, Value, usize), ScriptError> {
    let mut reader = ScriptReader { rest: body, memory: 0 };
    let name = reader.value(0)?;
    let value = reader.value(0)?;
    Ok((name, value, reader.rest.len()))
}

/// Script data that are still to be read.
struct ScriptReader<'a> {
    rest: &'a [u8],
    /// What the values read so far take.
    memory: usize,
}

impl ScriptReader<'_> {
    fn value(&mut self, depth: u32) -> Result<Value, ScriptError> {
        if depth > MAX_DEPTH {
            return Err(ScriptError::Depth);
        }
        let [marker] = self.take()?;
        Ok(match marker {
            0 => Value::Number(f64::from_be_bytes(self.take()?)),
            1 => Value::Boolean(self.take()? != [0]),
            2 => Value::String(self.text()?),
            3 => Value::Object(self.properties(depth)?),
            5 => Value::Null,
            6 => Value::Undefined,
            8 => {
                // The number of properties is a hint: the end marker counts.
                self.take::<4>()?;
                Value::EcmaArray(self.properties(depth)?)
            }
            10 => {
                let count = u32::from_be_bytes(self.take()?);
                let mut values = Vec::new();
                for _ in 0..count {
                    self.pay(size_of::<Value>())?;
                    values.push(self.value(depth + 1)?);
                }
                Value::StrictArray(values)
            }
            11 => Value::Date {
                milliseconds: f64::from_be_bytes(self.take()?),
                minutes_from_utc: i16::from_be_bytes(self.take()?),
            },
            12 | 15 => {
                let length = u32::from_be_bytes(self.take()?);
                Value::String(self.text_of(length as usize)?)
            }
            other => return Err(ScriptError::Type(other)),
        })
    }

    fn properties(&mut self, depth: u32) -> Result<Vec<(String, Value)>, ScriptError> {
        let mut properties = Vec::new();
        while !self.rest.is_empty() {
            if let Some(rest) = self.rest.strip_prefix(&[0, 0, 9]) {
                self.rest = rest;
                break;
            }
            self.pay(size_of::<(String, Value)>())?;
            let name = self.text()?;
            properties.push((name, self.value(depth + 1)?));
        }
        Ok(properties)
    }

    fn text(&mut self) -> Result<String, ScriptError> {
        let length = u16::from_be_bytes(self.take()?);
        self.text_of(length.into())
    }

    fn text_of(&mut self, length: usize) -> Result<String, ScriptError> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(ScriptError::Truncated)?;
        self.rest = rest;
        let text = String::from_utf8_lossy(bytes).into_owned();
        // What the allocator adds counts, too.
        self.pay(text.capacity() + 16)?;
        Ok(text)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ScriptError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(ScriptError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// Counts memory that is about to be taken.
    fn pay(&mut self, bytes: usize) -> Result<(), ScriptError> {
        self.memory += bytes;
        if self.memory > MAX_MEMORY { Err(ScriptError::Memory) } else { Ok(()) }
    }
}

impl Value {
    /// Appends the value with its type marker.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => {
                out.push(0);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Boolean(value) => out.extend_from_slice(&[1, u8::from(*value)]),
            Self::String(text) => {
                out.push(2);
                write_text(text, out);
            }
            Self::Object(properties) => {
                out.push(3);
                write_properties(properties, out);
            }
            Self::EcmaArray(properties) => {
                out.push(8);
                out.extend_from_slice(&(properties.len() as u32).to_be_bytes());
                write_properties(properties, out);
            }
            Self::StrictArray(values) => {
                out.push(10);
                out.extend_from_slice(&(values.len() as u32).to_be_bytes());
                for value in values {
                    value.write(out);
                }
            }
            Self::Null => out.push(5),
            Self::Undefined => out.push(6),
            Self::Date { milliseconds, minutes_from_utc } => {
                out.push(11);
                out.extend_from_slice(&milliseconds.to_be_bytes());
                out.extend_from_slice(&minutes_from_utc.to_be_bytes());
            }
        }
    }
}

fn write_properties(properties: &[(String, Value)], out: &mut Vec<u8>) {
    for (name, value) in properties {
        write_text(name, out);
        value.write(out);
    }
    out.extend_from_slice(&[0, 0, 9]); // SCRIPTDATAOBJECTEND
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    let mut length = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    out.extend_from_slice(&(length as u16).to_be_bytes());
    out.extend_from_slice(&text.as_bytes()[..length]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        value.write(&mut out);
        out
    }

    #[test]
    fn bytes_of_every_kind() {
        assert_eq!(bytes(&Value::Number(1.0)), [0, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes(&Value::Boolean(true)), [1, 1]);
        assert_eq!(bytes(&Value::String("né".into())), [2, 0, 3, b'n', 0xC3, 0xA9]);
        let properties = vec![("a".to_owned(), Value::Boolean(false))];
        assert_eq!(bytes(&Value::Object(properties.clone())), [3, 0, 1, b'a', 1, 0, 0, 0, 9]);
        assert_eq!(bytes(&Value::EcmaArray(properties)), [8, 0, 0, 0, 1, 0, 1, b'a', 1, 0, 0, 0, 9]);
        assert_eq!(bytes(&Value::StrictArray(vec![Value::Boolean(true)])), [10, 0, 0, 0, 1, 1, 1]);
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        let text = "é".repeat(40_000);
        let out = bytes(&Value::String(text));
        assert_eq!(out[1..3], 65_534_u16.to_be_bytes());
        assert_eq!(out.len(), 3 + 65_534);
    }

    fn read(bytes: &[u8]) -> Result<(Value, usize), ScriptError> {
        read_script(&[&[5], bytes].concat()).map(|(name, value, rest)| {
            assert_eq!(name, Value::Null);
            (value, rest)
        })
    }

    #[test]
    fn what_was_written_is_read() {
        let properties = vec![
            ("number".to_owned(), Value::Number(1.5)),
            ("text".to_owned(), Value::String("né".into())),
            (String::new(), Value::Boolean(true)),
            ("list".to_owned(), Value::StrictArray(vec![Value::Null, Value::Undefined])),
            ("date".to_owned(), Value::Date { milliseconds: 1e12, minutes_from_utc: -60 }),
            ("array".to_owned(), Value::EcmaArray(vec![("a".to_owned(), Value::Number(0.0))])),
        ];
        let value = Value::Object(properties);
        let written = bytes(&value);
        assert_eq!(read(&written), Ok((value.clone(), 0)));
        assert_eq!(read(&[&written[..], &[1, 2]].concat()), Ok((value, 2)));
        for length in 0..written.len() {
            // It may end between two properties.
            assert!(
                read(&written[..length]).is_ok_and(|(_, rest)| rest == 0) || {
                    read(&written[..length]) == Err(ScriptError::Truncated)
                }
            );
        }
        assert_eq!(read(&[12, 0, 0, 0, 2, b'h', 0xff]), Ok((Value::String("h\u{fffd}".into()), 0)));
        assert_eq!(read(&[17]), Err(ScriptError::Type(17)));
    }

    #[test]
    fn hostile_values_are_refused() {
        assert_eq!(read(&[10, 0, 0, 0, 1].repeat(1_000_000)), Err(ScriptError::Depth));
        assert_eq!(read(&[3, 0, 1, b'a'].repeat(1_000_000)), Err(ScriptError::Depth));
        assert_eq!(read(&[10, 0xff, 0xff, 0xff, 0xff, 5]), Err(ScriptError::Truncated));
        let nothings = [&[10, 0xff, 0xff, 0xff, 0xff][..], &[5].repeat(16 << 20)].concat();
        assert_eq!(read(&nothings), Err(ScriptError::Memory));
        let names = [&[3][..], &[0, 1, b'a', 5].repeat(4 << 20)].concat();
        assert_eq!(read(&names), Err(ScriptError::Memory));
        // The largest index that fits into a tag is read.
        let count = ((16 << 20) / 9_u32).to_be_bytes();
        let index = [&[10][..], &count, &[0; 9].repeat((16 << 20) / 9)].concat();
        assert!(read(&index).is_ok());
    }
}
