//! Tests of the codec: round trips, broken input, the RFCs' corners.

use proptest::prelude::*;

use super::*;
use crate::mac::MacAddr;

fn discover() -> Message {
    let mac = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
    let mut message = Message::from_client(MessageType::Discover, mac, 0x1122_3344);
    message.secs = 4;
    message.set_broadcast();
    message
}

fn bytes_with_options(options: &[u8]) -> Vec<u8> {
    let mut bytes = discover().encode(DEFAULT_MAX_MESSAGE_LEN).unwrap();
    bytes.truncate(HEADER_LEN);
    bytes.extend(options);
    bytes
}

fn decode_options(options: &[u8]) -> Result<Message, DecodeError> {
    Message::decode(&bytes_with_options(options))
}

#[test]
fn a_short_message_is_padded_to_bootps_least_length() {
    assert_eq!(
        discover().encode(DEFAULT_MAX_MESSAGE_LEN).unwrap().len(),
        MIN_MESSAGE_LEN
    );
}

/// RFC 3396 §5 and §7.
#[test]
fn a_long_option_is_split_on_the_wire_and_joined_again() {
    let mut message = discover();
    let url = format!("http://{}/boot.ipxe", "a".repeat(300));
    message.options.set(code::BOOT_FILE_NAME, url.as_bytes());
    let bytes = message.encode(1472).unwrap();
    assert!(
        bytes
            .windows(2)
            .any(|pair| pair == [code::BOOT_FILE_NAME, 255])
    );
    assert_eq!(Message::decode(&bytes).unwrap(), message);
}

/// RFC 2131 §4.1: options that do not fit go to `file` and `sname`.
#[test]
fn unused_header_fields_are_lent_to_options_that_do_not_fit() {
    let mut message = discover();
    message.options.set(224, vec![1; 250]);
    message.options.set(225, vec![2; 100]);
    message.options.set(226, vec![3; 40]);
    let bytes = message.encode(DEFAULT_MAX_MESSAGE_LEN).unwrap();
    assert!(bytes.len() <= DEFAULT_MAX_MESSAGE_LEN);
    let read = Message::decode(&bytes).unwrap();
    for option in [224, 225, 226] {
        assert_eq!(
            read.options.bytes(option),
            message.options.bytes(option),
            "{option}"
        );
    }
    assert!(read.boot_file.is_empty());
}

#[test]
fn options_that_fit_nowhere_are_an_error_that_names_the_option() {
    let mut message = discover();
    message.boot_file = b"undionly.kpxe".to_vec();
    message.options.set(224, vec![1; 250]);
    message.options.set(225, vec![2; 100]);
    assert_eq!(
        message.encode(548),
        Err(EncodeError::TooLong {
            code: 225,
            limit: 548
        })
    );
}

#[test]
fn a_boot_file_name_without_room_for_its_nul_is_refused() {
    let mut message = discover();
    message.boot_file = vec![b'x'; 128];
    assert_eq!(message.encode(548), Err(EncodeError::BootFile(128)));
}

#[test]
fn options_in_overloaded_fields_are_read_in_the_order_file_then_sname() {
    let mut bytes = bytes_with_options(&[53, 1, 1, 52, 1, 3, 67, 1, b'a', 255]);
    bytes[108..112].copy_from_slice(&[67, 1, b'b', 255]);
    bytes[44..48].copy_from_slice(&[67, 1, b'c', 255]);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.options.bytes(67), Some(&b"abc"[..]));
    assert!(message.boot_file.is_empty() && message.server_name.is_empty());
}

#[test]
fn decode_a_last_option_that_is_cut_off_counts_as_absent() {
    for cut in [
        &[53, 1, 1, 93, 4, 0][..],
        &[53, 1, 1, 93],
        &[53, 1, 1, 93, 1],
    ] {
        let message = decode_options(cut).unwrap();
        assert_eq!(message.message_type(), Ok(Some(MessageType::Discover)));
        assert!(!message.options.contains(93), "{cut:?}");
    }
}

#[test]
fn decode_an_identity_joined_to_more_than_a_part_counts_as_absent() {
    for code in [12, 50, 55, 60, 61, 77, 93, 97] {
        let part = |len: u8| [&[code, len][..], &vec![1; usize::from(len)]].concat();
        let long = [part(255), part(1), vec![255]].concat();
        assert!(
            !decode_options(&long).unwrap().options.contains(code),
            "{code}"
        );
        let fitting = [part(200), part(55), vec![255]].concat();
        let message = decode_options(&fitting).unwrap();
        assert_eq!(message.options.bytes(code), Some(&[1; 255][..]), "{code}");
    }
}

/// RFC 2132 §2: "Options containing NVT ASCII data SHOULD NOT include a trailing NULL; however, the
/// receiver of such options MUST be prepared to delete trailing nulls if they exist."
#[test]
fn text_options_trailing_nuls_are_stripped() {
    let message = |code: u8, text: &[u8]| {
        decode_options(&[&[code, u8::try_from(text.len()).unwrap()], text, &[255]].concat())
            .unwrap()
    };
    let name = message(12, b"esx-01\0");
    assert_eq!(name.host_name().as_deref(), Some("esx-01"));
    assert_eq!(message(12, b"\0\0").host_name(), None);
    let class = message(60, b"PXEClient\0\0");
    assert_eq!(class.vendor_class().as_deref(), Some("PXEClient"));
    let class: &[u8] = b"iPXE";
    for bytes in [&b"iPXE\0"[..], b"\x04iPXE\0", b"\x05iPXE\0", b"iPXE"] {
        assert_eq!(message(77, bytes).user_classes(), [class], "{bytes:?}");
    }
    // A NUL in the middle is not at the end.
    let name = message(12, b"a\0b\0");
    assert_eq!(name.host_name().as_deref(), Some("a\\u{0}b"));
}

#[test]
fn a_missing_end_mark_is_forgiven() {
    assert_eq!(
        decode_options(&[53, 1, 1]).unwrap().message_type(),
        Ok(Some(MessageType::Discover))
    );
}

#[test]
fn broken_headers_are_named() {
    let good = discover().encode(548).unwrap();
    assert_eq!(Message::decode(&good[..239]), Err(DecodeError::Short(239)));
    for (at, value, error) in [
        (0, 3, DecodeError::Op(3)),
        (2, 17, DecodeError::HardwareLen(17)),
        (236, 0, DecodeError::Cookie(0x0082_5363)),
    ] {
        let mut bad = good.clone();
        bad[at] = value;
        assert_eq!(Message::decode(&bad), Err(error));
    }
}

/// RFC 4578 §2.1: the option is a list.
#[test]
fn all_client_architectures_are_read_and_unknown_ones_survive() {
    let message = decode_options(&[93, 6, 0, 7, 0, 9, 0x12, 0x34, 255]).unwrap();
    let arch = message.client_arch().unwrap();
    assert_eq!(
        arch,
        [
            ClientArch::EfiX64,
            ClientArch::EfiX64OrEbc,
            ClientArch::Other(0x1234)
        ]
    );
    assert!(arch.iter().map(|a| a.to_wire()).eq([7, 9, 0x1234]));
    assert!(
        decode_options(&[93, 3, 0, 7, 0, 255])
            .unwrap()
            .client_arch()
            .is_err()
    );
    assert!(
        decode_options(&[93, 0, 255])
            .unwrap()
            .client_arch()
            .is_err()
    );
}

#[test]
fn user_class_is_read_bare_and_length_prefixed() {
    let bare = decode_options(&[77, 4, b'i', b'P', b'X', b'E', 255]).unwrap();
    assert_eq!(bare.user_classes(), [b"iPXE"]);
    let listed = decode_options(&[77, 8, 4, b'i', b'P', b'X', b'E', 2, b'a', b'b', 255]).unwrap();
    assert_eq!(listed.user_classes(), [&b"iPXE"[..], b"ab"]);
    assert_eq!(listed.user_class_text().as_deref(), Some("iPXE,ab"));
    let cut = decode_options(&[77, 3, 9, b'a', b'b', 255]).unwrap();
    assert_eq!(cut.user_classes(), [b"\tab"]);
    assert_eq!(cut.user_class_text().as_deref(), Some("\\tab"));
}

#[test]
fn a_machine_identifier_of_another_shape_is_an_error() {
    let mut id = vec![97, 17, 0];
    id.extend(1..=16);
    let message = decode_options(&id).unwrap();
    let read = message.machine_id().unwrap().unwrap();
    assert_eq!(
        read.uuid().to_string(),
        "04030201-0605-0807-090a-0b0c0d0e0f10"
    );
    id[2] = 1;
    assert!(decode_options(&id).unwrap().machine_id().is_err());
    assert!(decode_options(&[97, 1, 0]).unwrap().machine_id().is_err());
    assert_eq!(decode_options(&[]).unwrap().machine_id(), Ok(None));
}

#[test]
fn option_57_is_honoured_between_the_least_every_client_takes_and_one_frame() {
    for (asked, expected) in [
        (576u16, 548),
        (100, 548),
        (1000, 972),
        (1500, 1472),
        (65535, 1472),
    ] {
        let [high, low] = asked.to_be_bytes();
        let message = decode_options(&[57, 2, high, low, 255]).unwrap();
        assert_eq!(message.max_message_len(), expected, "{asked}");
    }
    assert_eq!(discover().max_message_len(), 548);
}

proptest! {
    #[test]
    fn any_datagram_is_read_or_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        let _ = Message::decode(&bytes);
    }

    #[test]
    fn any_options_after_a_good_header_are_read_or_refused_without_panic(
        options in proptest::collection::vec(any::<u8>(), 0..300)
    ) {
        if let Ok(message) = decode_options(&options) {
            let _ = (message.message_type(), message.client_arch(), message.machine_id());
            let _ = (message.user_class_text(), message.max_message_len(), message.server_id());
        }
    }

    #[test]
    fn what_is_encoded_is_what_is_decoded(
        codes in proptest::collection::btree_map(1u8..=254, proptest::collection::vec(any::<u8>(), 0..400), 0..5),
        boot_file in "[a-z/]{0,127}",
        limit in 548usize..1472,
    ) {
        let mut message = discover();
        message.boot_file = boot_file.into_bytes();
        for (code, bytes) in codes {
            if code != code::OVERLOAD {
                message.options.set(code, bytes);
            }
        }
        if let Ok(bytes) = message.encode(limit) {
            prop_assert!(bytes.len() <= limit);
            let read = Message::decode(&bytes).unwrap();
            for (code, bytes) in message.options.iter() {
                let is_long_identity =
                    bytes.len() > 255 && [12, 50, 55, 60, 61, 77, 93, 97].contains(&code);
                let expected = (!is_long_identity).then_some(bytes);
                prop_assert_eq!(read.options.bytes(code), expected);
            }
            prop_assert_eq!(read.boot_file, message.boot_file);
        }
    }
}
