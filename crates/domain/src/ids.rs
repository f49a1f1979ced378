//! Identifiers: UUIDv7 newtypes, written as the usual 36 characters (RFC 9562). Time-ordered, so that a list by id is a
//! list by age. The 74 random bits are handed in: this crate has no clock and no randomness.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// The text was not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an id: expected 36 characters like 018f3c1e-7b2a-7c3d-9e4f-0123456789ab")]
pub struct IdError(pub String);

fn parse_uuid(text: &str) -> Result<u128, IdError> {
    let bytes = text.as_bytes();
    let dashes = [8, 13, 18, 23];
    if bytes.len() != 36 || dashes.iter().any(|&i| bytes[i] != b'-') {
        return Err(IdError(text.to_owned()));
    }
    let mut value = 0_u128;
    for (i, byte) in bytes.iter().enumerate().filter(|(i, _)| !dashes.contains(i)) {
        let digit = char::from(*byte).to_digit(16).ok_or_else(|| IdError(text.to_owned()))?;
        debug_assert!(i < 36);
        value = value << 4 | u128::from(digit);
    }
    Ok(value)
}

fn write_uuid(value: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let hex = format!("{value:032x}");
    write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u128);

        impl $name {
            /// A version 7 id from milliseconds since 1970 and random bits (the version and variant bits are set here).
            pub const fn from_parts(unix_millis: u64, random: u128) -> Self {
                let time = (unix_millis as u128 & 0xffff_ffff_ffff) << 80;
                let random = random & 0x0fff_3fff_ffff_ffff_ffff;
                Self(time | 0x7000_8000_0000_0000_0000 | random)
            }

            pub const fn from_u128(value: u128) -> Self {
                Self(value)
            }

            /// The last eight digits: enough to tell runs apart in a table.
            pub fn short(&self) -> String {
                format!("{:08x}", self.0 & 0xffff_ffff)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_uuid(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// One reasoning example.
    TraceId,
    /// One execution of a recipe on a dataset.
    RunId,
    /// One process that leases runs.
    WorkerId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_7_and_read_back() {
        let id = RunId::from_parts(0x018f_3c1e_7b2a, u128::MAX);
        assert_eq!(id.to_string(), "018f3c1e-7b2a-7fff-bfff-ffffffffffff");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "../etc/passwd", "018f3c1e-7b2a-7fff-bfff-fffffffffffg", "018f3c1e7b2a7fffbfffffffffffffff"] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}
