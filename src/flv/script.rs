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
}

impl Value {
    /// Appends the value with its type marker.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
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
}
