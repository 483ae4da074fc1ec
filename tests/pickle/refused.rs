use bully_host::pickle::{Fault, Limits, Reader};

use super::python::pickles;

fn refusal(bytes: &[u8]) -> String {
    let refused = Reader::new(Limits::default()).push(bytes).unwrap_err();
    refused.to_string()
}

#[test]
fn each_opcode_that_lab_messages_have_no_use_for_by_its_name() {
    let opcodes = pickles("opcodes", String::new());
    assert_eq!(opcodes.len(), 68);
    let mut known = [false; 256];
    let mut foreign = 0;
    for opcode in opcodes {
        let mut fields = opcode.split('\t');
        let byte: u8 = fields.next().unwrap().parse().unwrap();
        let name = fields.next().unwrap();
        known[usize::from(byte)] = true;
        if fields.next() == Some("True") {
            continue;
        }
        foreign += 1;
        let message = [b"\x80\x04(NNN".as_slice(), &[byte]].concat();
        let why = match name {
            "STRING" | "BINSTRING" | "SHORT_BINSTRING" => {
                "is how Python 2 writes text, which is not read: run that program with Python 3"
            }
            _ => "is not one that lab messages use",
        };
        assert_eq!(
            refusal(&message),
            format!("opcode {name} (0x{byte:02x}) at byte 6 {why}")
        );
    }
    assert_eq!(foreign, 31);
    for byte in (0..=255).filter(|byte| !known[usize::from(*byte)]) {
        assert_eq!(
            refusal(&[b'N', byte]),
            format!("0x{byte:02x} at byte 1 is no opcode: not a pickle")
        );
    }
}

#[test]
fn each_fault_where_its_opcode_begins() {
    let marks = [b'('; 65];
    for (message, what, offset) in [
        (&b"\x80\x06N."[..], Fault::Protocol(6), 0),
        (&marks, Fault::Marks(64), 64),
        (b"NX\xff\xff\xff\x7f", Fault::Text(4096), 1),
        (
            b"N\x8d\x00\x00\x00\x00\x00\x00\x00\x80",
            Fault::Text(4096),
            1,
        ),
        (
            b"\x95\xff\xff\xff\xff\xff\xff\xff\xff",
            Fault::Bytes(1 << 20),
            0,
        ),
        (
            b"\x95\xf8\xff\x0f\x00\x00\x00\x00\x00",
            Fault::Bytes(1 << 20),
            0,
        ),
        (b"\x95\x04\x00\x00\x00\x00\x00\x00\x00N.", Fault::Frame, 10),
        (b"\x8a\x09", Fault::Number, 0),
        (b"I9223372036854775808\n", Fault::Number, 0),
        (b"I010\n", Fault::Number, 0),
        (b"I\n", Fault::Number, 0),
        (b"I1 \n", Fault::Number, 0),
        (b"L9223372036854775808L\n", Fault::Number, 0),
        (b"L01L\n", Fault::Number, 0),
        (b"L1LL\n", Fault::Number, 0),
        (b"LL\n", Fault::Number, 0),
        (b"Lorem", Fault::Number, 0),
        (b"Ng-1\n", Fault::Number, 1),
        (b"Np0x1\n", Fault::Number, 1),
        (b"\x8c\x02\xc3\x28", Fault::Unicode, 0),
        (b"\x8c\x03\xed\xa0\x80", Fault::Unicode, 0),
        (b"V\\ud800\n", Fault::Unicode, 0),
        (b"V\\u12\n", Fault::Unicode, 0),
        (b"V\\U00110000\n", Fault::Unicode, 0),
        (b".", Fault::Operand, 0),
        (b"N(.", Fault::Operand, 2),
        (b"N\x86", Fault::Operand, 1),
        (b"N(N\x86", Fault::Operand, 3),
        (b"t", Fault::Operand, 0),
        (b"NNa", Fault::Operand, 2),
        (b"](a", Fault::Operand, 2),
        (b"}]Ns", Fault::Key, 3),
        (b"}(Nu", Fault::Operand, 3),
        (b"(Nd", Fault::Operand, 2),
        (b"}]N]s", Fault::Operand, 4),
        (b"}(]Nu", Fault::Key, 4),
        (b"}}Ns", Fault::Key, 3),
        (b"}(]\x85Nu", Fault::Key, 5),
        (b"Nq\x02", Fault::Sparse(2), 1),
        (b"Nr\xff\xff\xff\xff", Fault::Values(65_536), 1),
        (b"Np18446744073709551615\n", Fault::Values(65_536), 1),
        (b"h\x00", Fault::Unset(0), 0),
        (b"\x80\x04Nq\x02h\x01", Fault::Unset(1), 5),
        (b"(q\x00", Fault::Operand, 1),
    ] {
        let refused = Reader::new(Limits::default()).push(message).unwrap_err();
        assert_eq!(
            (refused.what, refused.offset),
            (what, offset),
            "{}",
            message.escape_ascii()
        );
        // In any pieces, and ever after.
        let mut reader = Reader::new(Limits::default());
        let faults = message.chunks(1).filter_map(|byte| reader.push(byte).err());
        assert_eq!(faults.last(), Some(refused), "{}", message.escape_ascii());
        assert_eq!(reader.push(b"N."), Err(refused));
        reader.clear();
        assert_eq!(reader.push(b"N."), Ok(Some(2)));
    }
}

#[test]
fn a_message_of_the_greatest_length_passes_and_one_byte_more_does_not() {
    let limits = Limits {
        bytes: 100,
        ..Limits::default()
    };
    let mut reader = Reader::new(limits);
    for protos in [49, 50] {
        let message = [&b"\x80\x02".repeat(protos)[..], b"N."].concat();
        for size in [1, 7, 1000] {
            reader.clear();
            let last = message
                .chunks(size)
                .map(|piece| reader.push(piece))
                .last()
                .unwrap();
            match last {
                Ok(end) => assert!(protos == 49 && end.is_some()),
                Err(refused) => {
                    assert_eq!((protos, refused.what), (50, Fault::Bytes(100)));
                    assert_eq!(refused.to_string(), "longer than 100 bytes, at byte 100");
                }
            }
        }
    }
}

#[test]
fn the_beginning_is_kept_for_people() {
    let mut reader = Reader::new(Limits::default());
    assert!(reader.push(b"Expected a").is_err());
    assert!(reader.push(b" pickle").is_err());
    assert_eq!(reader.beginning(), b"Expected a pickle");
    reader.push(&[b'x'; 5000]).unwrap_err();
    assert_eq!(reader.beginning().len(), 1024);
    reader.clear();
    assert_eq!(reader.beginning(), b"");
}
