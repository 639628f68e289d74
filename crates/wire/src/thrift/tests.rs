//! Both protocols: what is written is read, and what is no Thrift is refused where it goes wrong.

use super::{Binary, Compact, Fields, MessageKind, Protocol, Reader, ThriftError, ThriftFault, Type, Writer};
use crate::Limits;
use proptest::prelude::*;

fn reader<P: Protocol>(bytes: &[u8]) -> Reader<'_, P> {
    Reader::new(bytes, &Limits::default())
}

/// One of each type, with ids near and far, forwards and backwards.
fn write_all<P: Protocol>() -> Vec<u8> {
    let mut out = vec![];
    let mut writer = Writer::<P>::new(&mut out);
    writer.message("name", MessageKind::Oneway, 7);
    let mut fields = Fields::default();
    writer.bool_field(&mut fields, 1, true);
    writer.bool_field(&mut fields, 2, false);
    writer.i32_field(&mut fields, 40, i32::MIN);
    writer.i64_field(&mut fields, 3, i64::MIN);
    writer.i64_field(&mut fields, 4, i64::MAX);
    writer.double_field(&mut fields, 19, -0.5);
    writer.binary_field(&mut fields, -1, b"text");
    writer.list_field(&mut fields, i16::MAX, Type::Binary, 15);
    for _ in 0..15 {
        writer.binary(b"x");
    }
    writer.list_field(&mut fields, i16::MIN, Type::Struct, 2);
    for value in [true, false] {
        let mut inner = Fields::default();
        writer.bool_field(&mut inner, 16, value);
        writer.stop();
    }
    writer.stop();
    out
}

fn read_all<P: Protocol>(reader: &mut Reader<'_, P>) -> super::Result<()> {
    let message = reader.message()?;
    assert_eq!((message.name, message.kind, message.sequence), (&b"name"[..], MessageKind::Oneway, 7));
    let mut fields = Fields::default();
    let mut ids = vec![];
    while let Some(field) = reader.field(&mut fields)? {
        ids.push(field.id);
        match (field.id, field.kind) {
            (1, Type::Bool) => assert!(reader.bool()?),
            (2, Type::Bool) => assert!(!reader.bool()?),
            (40, Type::I32) => assert_eq!(reader.i32()?, i32::MIN),
            (3, Type::I64) => assert_eq!(reader.i64()?, i64::MIN),
            (4, Type::I64) => assert_eq!(reader.i64()?, i64::MAX),
            (19, Type::Double) => assert_eq!(reader.double()?, -0.5),
            (-1, Type::Binary) => assert_eq!(reader.binary()?, b"text"),
            (_, kind) => reader.skip(kind)?,
        }
    }
    assert_eq!(ids, [1, 2, 40, 3, 4, 19, -1, i16::MAX, i16::MIN]);
    Ok(())
}

fn whole_and_cut<P: Protocol>() {
    let bytes = write_all::<P>();
    let mut whole = reader::<P>(&bytes);
    assert_eq!(read_all(&mut whole), Ok(()));
    assert_eq!(whole.position(), bytes.len());
    for cut in 0..bytes.len() {
        let error = read_all(&mut reader::<P>(&bytes[..cut])).expect_err("it is cut");
        assert!(error.at() <= cut, "{error}");
    }
}

#[test]
fn both_protocols_read_what_they_write() {
    whole_and_cut::<Binary>();
    whole_and_cut::<Compact>();
}

#[test]
fn the_old_binary_header_is_taken() {
    let bytes = [&4u32.to_be_bytes()[..], b"name", &[4], &7u32.to_be_bytes()].concat();
    let message = reader::<Binary>(&bytes).message().expect("a message");
    assert_eq!((message.name, message.kind, message.sequence), (&b"name"[..], MessageKind::Oneway, 7));
}

fn fault(at: usize, fault: ThriftFault) -> ThriftError {
    ThriftError::new(at, fault)
}

#[test]
fn headers_of_other_protocols_are_refused() {
    let message = |bytes| reader::<Compact>(bytes).message().map(|_| ());
    assert_eq!(message(b"garbage"), Err(fault(0, ThriftFault::Version)));
    assert_eq!(message(&[0x82, 0x02, 0, 0]), Err(fault(0, ThriftFault::Version)));
    let message = |bytes| reader::<Binary>(bytes).message().map(|_| ());
    assert_eq!(message(&[0x80, 0x02, 0, 1, 0, 0, 0, 0]), Err(fault(0, ThriftFault::Version)));
    assert_eq!(message(b"garbage"), Err(fault(4, ThriftFault::Length(0x6761_7262))));
}

#[test]
fn lengths_beyond_the_input_are_refused() {
    let list = |bytes| reader::<Binary>(bytes).list_of(Type::I64);
    assert_eq!(list(&[10, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1]), Err(fault(5, ThriftFault::Length(2))));
    assert_eq!(list(&[10, 0xff, 0xff, 0xff, 0xff]), Err(fault(5, ThriftFault::Length(-1))));
    assert_eq!(list(&[0, 0, 0, 0, 0]), Ok(0));
    assert_eq!(list(&[1, 0, 0, 0, 1, 0]), Err(fault(1, ThriftFault::UnknownType(1))));
    let wrong = list(&[2, 0, 0, 0, 1, 0]).expect_err("booleans");
    assert_eq!(wrong.fault(), ThriftFault::WrongElement { expected: "i64", found: "bool" });
    assert_eq!(reader::<Compact>(&[0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f]).list(), Err(fault(6, ThriftFault::Length(-1))));
    assert_eq!(reader::<Compact>(&[5, b'a']).binary(), Err(fault(1, ThriftFault::Length(5))));
    assert_eq!(reader::<Compact>(&[0x80; 11]).i64(), Err(fault(10, ThriftFault::Varint)));
    let limits = Limits { string_bytes_max: 1, ..Limits::default() };
    let too_long = ThriftFault::TextTooLong { bytes: 2, bytes_max: 1 };
    assert_eq!(Reader::<Compact>::new(&[2, b'a', b'b'], &limits).binary(), Err(fault(1, too_long)));
}

#[test]
fn depth_is_bounded() {
    // Lists in lists: 0x19 is a list of one list.
    let deep = [0x19; 1000];
    assert_eq!(reader::<Compact>(&deep).skip(Type::List), Err(fault(255, ThriftFault::TooDeep(255))));
    let mut shallow = vec![0x19; 200];
    shallow.push(0x09);
    assert_eq!(reader::<Compact>(&shallow).skip(Type::List), Ok(()));
}

#[test]
fn maps_and_sets_are_skipped() {
    let map = [2, 0x81, 1, b'a', 1, 1, b'b', 2];
    let mut compact = reader::<Compact>(&map);
    assert_eq!(compact.skip(Type::Map), Ok(()));
    assert_eq!(compact.position(), map.len());
    assert_eq!(reader::<Compact>(&[0]).skip(Type::Map), Ok(()));
    let map = [6, 14, 0, 0, 0, 1, 0, 9, 3, 0, 0, 0, 2, 1, 2];
    let mut binary = reader::<Binary>(&map);
    assert_eq!(binary.skip(Type::Map), Ok(()));
    assert_eq!(binary.position(), map.len());
}

proptest! {
    #[test]
    fn numbers_come_back(long: i64, int: i32, double: f64) {
        fn check<P: Protocol>(long: i64, int: i32, double: f64) {
            let mut out = vec![];
            P::write_i64(&mut out, long);
            P::write_i32(&mut out, int);
            P::write_double(&mut out, double);
            let mut reader = reader::<P>(&out);
            assert_eq!(reader.i64(), Ok(long));
            assert_eq!(reader.i32(), Ok(int));
            assert_eq!(reader.double().map(f64::to_bits), Ok(double.to_bits()));
            assert_eq!(reader.position(), out.len());
        }
        check::<Binary>(long, int, double);
        check::<Compact>(long, int, double);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for kind in [Type::Struct, Type::List, Type::Map] {
            _ = reader::<Binary>(&bytes).skip(kind);
            _ = reader::<Compact>(&bytes).skip(kind);
        }
        _ = reader::<Binary>(&bytes).message();
        _ = reader::<Compact>(&bytes).message();
    }
}

/// The same bytes whether the length of a list is known before its elements or behind them.
fn lists_are_counted<P: Protocol>() {
    for len in [0, 1, 14, 15, 127, 128, 20_000] {
        let (mut known, mut counted) = (vec![7], vec![7]);
        let (mut writer, mut fields) = (Writer::<P>::new(&mut known), Fields::default());
        if len > 0 {
            writer.list_field(&mut fields, 3, Type::Binary, len);
            (0..len).for_each(|at| writer.binary(&at.to_be_bytes()));
        }
        writer.i32_field(&mut fields, 9, 1);
        let (mut writer, mut fields) = (Writer::<P>::new(&mut counted), Fields::default());
        writer.counted_list_field(&mut fields, 3, Type::Binary, |writer| {
            (0..len).for_each(|at| writer.binary(&at.to_be_bytes()));
            len
        });
        writer.i32_field(&mut fields, 9, 1);
        assert!(known == counted, "{len}");
    }
}

#[test]
fn a_list_may_be_counted_while_it_is_written() {
    lists_are_counted::<Binary>();
    lists_are_counted::<Compact>();
}
