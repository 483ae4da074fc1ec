//! The checksum of frames.

/// CRC-32/ISO-HDLC, the one of Ethernet and zip, four bits at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc(u32);

impl Crc {
    pub(crate) const fn new() -> Self {
        Self(u32::MAX)
    }

    pub(crate) fn add(&mut self, byte: u8) {
        let mut crc = self.0 ^ u32::from(byte);
        for _ in 0..2 {
            let nibble = TABLE[(crc & 15) as usize];
            crc = (crc >> 4) ^ nibble;
        }
        self.0 = crc;
    }

    pub(crate) const fn value(self) -> u32 {
        !self.0
    }
}

/// The remainders of four bits by the polynomial 0x04C11DB7, reflected.
const TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut nibble = 0;
    while nibble < 16 {
        let mut crc = nibble as u32;
        let mut bit = 0;
        while bit < 4 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
            bit += 1;
        }
        table[nibble] = crc;
        nibble += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_catalogue() {
        // The check value of CRC-32/ISO-HDLC in every list of them.
        let mut crc = Crc::new();
        for byte in b"123456789" {
            crc.add(*byte);
        }
        assert_eq!(crc.value(), 0xCBF4_3926);
    }
}
