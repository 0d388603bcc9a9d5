//! Packs long values with deflate; the first byte says whether.
//!
//! A window of a thousand pools is a few hundred kilobytes of JSON and shrinks to about a tenth.
//! The fastest level is used because packing happens within the tick.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

const PLAIN: u8 = 0;
const DEFLATE: u8 = 1;
/// Below this deflate saves less than it costs.
const PLAIN_MAX_BYTES: usize = 512;

/// Packs a value.
pub(super) fn pack(value: &[u8]) -> Vec<u8> {
    if value.len() > PLAIN_MAX_BYTES
        && let Ok(packed) = deflate(value)
        && packed.len() <= value.len()
    {
        return packed;
    }
    let mut packed = Vec::with_capacity(value.len() + 1);
    packed.push(PLAIN);
    packed.extend_from_slice(value);
    packed
}

fn deflate(value: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(vec![DEFLATE], Compression::fast());
    encoder.write_all(value)?;
    encoder.finish()
}

/// Gives the value back.
pub(super) fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    match packed.split_first() {
        Some((&PLAIN, value)) => Ok(value.to_vec()),
        Some((&DEFLATE, value)) => {
            let mut plain = Vec::new();
            DeflateDecoder::new(value).read_to_end(&mut plain)?;
            Ok(plain)
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "unknown packing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_value_reads_back_and_repetition_shrinks() {
        for length in [0, 1, 512, 513, 300_000] {
            let value = vec![b'x'; length];
            let packed = pack(&value);
            assert_eq!(unpack(&packed).expect("reads back"), value);
            assert!(
                packed.len() <= 513.max(length / 100),
                "{length} bytes became {}",
                packed.len()
            );
        }
    }

    #[test]
    fn a_value_of_an_unknown_packing_is_refused() {
        assert!(unpack(&[7, 1, 2]).is_err());
        assert!(unpack(&[]).is_err());
    }
}
