//! The file as our own reader and other people's find it, and a live capture in a namespace of the test's own.

use std::process::Command;

use lab_model::evidence::packet::PacketContent;
use lab_model::evidence::wire;

use super::*;

fn spec(file: PathBuf) -> CaptureSpec {
    CaptureSpec {
        interface: "lab-4f2a11-br".into(),
        file,
        extent: PcapMode::Headers,
        title: "scenario ipxe-chainload on uefi, run 4f2a11".into(),
        host: Ipv4Addr::new(192, 168, 91, 1),
        subnet: "192.168.91.0/24".parse().unwrap(),
        nodes: vec![("node1".into(), "52:54:00:a1:9c:ae".parse().unwrap())],
    }
}

/// A datagram from port 2070 to port 69.
fn request() -> Vec<u8> {
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 168, 91, 20], [192, 168, 91, 1], 64)
        .udp(2070, 69)
        .write(&mut frame, b"\x00\x01ipxe.efi\0octet\0")
        .unwrap();
    frame
}

fn file_of(frames: &[&[u8]], counts: Counts) -> Vec<u8> {
    let spec = spec(PathBuf::new());
    let mut file = pcapng::beginning(&spec, &Names::new(&spec).known());
    for frame in frames {
        file.extend(pcapng::frame(1_700_000_000_123_456, frame, 1000));
    }
    file.extend(pcapng::statistics(1_700_000_001_000_000, counts));
    file
}

#[test]
fn what_is_written_is_read_again() {
    let counts = Counts {
        frames: 2,
        dropped: 3,
    };
    let wire = wire::read(file_of(&[&request(), &[1; 13]], counts).as_slice()).unwrap();
    assert_eq!((wire.frames, wire.dropped, wire.damage), (2, 3, None));
    assert_eq!(wire.packets[0].at_us, 1_700_000_000_123_456);
    assert!(
        matches!(&wire.packets[0].what, PacketContent::TftpRequest { file, .. } if file == "ipxe.efi")
    );
}

#[test]
fn a_complete_capture_is_compressed_and_read_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.pcapng");
    let bytes = file_of(&vec![&request()[..]; 5000], Counts::default());
    std::fs::write(&file, &bytes).unwrap();
    compress(&file).unwrap();
    assert!(!file.exists());
    let small = std::fs::read(folder.path().join("net.pcapng.gz")).unwrap();
    assert!(small.len() < bytes.len() / 5, "{}", small.len());
    let (whole, plain) = (wire::read(small.as_slice()), wire::read(bytes.as_slice()));
    assert_eq!(whole, plain);
    let cut = wire::read(&small[..small.len() / 2]).unwrap();
    assert!((1000..4000).contains(&cut.frames), "{}", cut.frames);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn tcpdump_reads_the_file_and_its_cut_frames() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let bytes = file_of(&[&request(), &[1; 61]], Counts::default());
    std::fs::write(file.path(), bytes).unwrap();
    let output = Command::new("tcpdump")
        .args(["-n", "-e", "-tt", "-r"])
        .arg(file.path())
        .output()
        .expect("tcpdump is one of the packages of ci/test");
    let (text, complaints) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{complaints}");
    assert!(
        text.contains("1700000000.123456 02:02:02:02:02:02 > 04:04:04:04:04:04"),
        "{text}"
    );
    assert!(text.contains("length 1000"), "{text}");
    assert!(text.contains("RRQ \"ipxe.efi\" octet"), "{text}");
}

/// Wireshark's tools read the capture, if they are installed.
#[test]
fn wireshark_reads_names_and_comments() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), file_of(&[&request()], Counts::default())).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .arg(file.path())
            .output();
        output.ok().map(|output| {
            assert!(output.status.success(), "{output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
    };
    let Some(text) = run("capinfos", &["-a", "-c", "-k", "-I"]) else {
        return test_support::skip("no capinfos (package wireshark-common)");
    };
    assert!(
        text.contains("scenario ipxe-chainload on uefi, run 4f2a11"),
        "{text}"
    );
    assert!(text.contains("52:54:00:a1:9c:ae node1"), "{text}");
    assert!(text.contains("Name = lab-4f2a11-br"), "{text}");
    if let Some(text) = run(
        "tshark",
        &["-N", "n", "-T", "fields", "-e", "ip.dst_host", "-r"],
    ) {
        assert_eq!(text.trim(), "boot-server", "the host's name");
    }
}

#[tokio::test]
async fn an_interface_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = start(&spec(folder.path().join("net.pcapng")))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.starts_with("cannot capture packets on lab-4f2a11-br: "),
        "{error}"
    );
    assert!(error.contains("--pcap off"), "{error}");
}
