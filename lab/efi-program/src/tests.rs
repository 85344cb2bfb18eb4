//! The signed programs of Debian's packages, and Microsoft's keys.

use uefi_variables::KeySet;

use super::*;

const SHIM: &str = "/usr/lib/shim/shimx64.efi.signed";
const MOK_MANAGER: &str = "/usr/lib/shim/mmx64.efi.signed";
const GRUB: &str = "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed";
const GRUB_UNSIGNED: &str = "/usr/lib/grub/x86_64-efi/monolithic/grubnetx64.efi";
const IPXE: &str = "/usr/lib/ipxe/ipxe.efi";

fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn program(file: &str) -> Program {
    Program::read(&bytes(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn firmware(keys: KeySet) -> Trust {
    Trust {
        accepted: keys.db(),
        ..Trust::default()
    }
}

fn generation(program: &Program, component: &str) -> Option<u32> {
    let mut found = program.sbat.iter().filter(|one| one.name == component);
    found.next().map(|one| one.generation)
}

#[test]
fn read_names_kind_signers_and_sbat() {
    let shim = program(SHIM);
    assert_eq!(
        (shim.architecture, shim.kind),
        (Architecture::X86_64, Kind::Shim)
    );
    let signers = |program: &Program| -> Vec<String> {
        let told = program.signatures.iter();
        told.map(|one| format!("{} < {}", one.signer, one.issuer))
            .collect()
    };
    assert_eq!(
        signers(&shim),
        [
            "Microsoft Windows UEFI Driver Publisher < Microsoft Corporation UEFI CA 2011",
            "Microsoft UEFI CA 2023 signer < Microsoft UEFI CA 2023",
        ]
    );
    assert_eq!(generation(&shim, "shim"), Some(4));
    let grub = program(GRUB);
    assert_eq!(grub.kind, Kind::Grub);
    assert_eq!(
        signers(&grub),
        ["Debian Secure Boot Signer 2022 - grub2 < Debian Secure Boot CA"]
    );
    assert_eq!(generation(&grub, "grub"), Some(5));
    assert_eq!(program(MOK_MANAGER).kind, Kind::ShimHelper);
    assert_eq!(program(GRUB_UNSIGNED).kind, Kind::Grub);
    let ipxe = program(IPXE);
    assert_eq!((ipxe.kind, ipxe.signatures.len()), (Kind::Other, 0));
    let inside = shim.shim.expect("the sections of shim");
    assert_eq!(inside.authorized.certificates.len(), 1);
    assert!(!inside.deauthorized.hashes.is_empty());
    assert!(
        inside
            .level
            .0
            .iter()
            .any(|one| one.name == "grub" && one.generation == 5)
    );
}

#[test]
fn check_accepts_a_shim_with_a_signature_of_each_certificate() {
    for (keys, authority) in [
        (KeySet::Microsoft2011, "Microsoft Corporation UEFI CA 2011"),
        (
            KeySet::Microsoft2011And2023,
            "Microsoft Corporation UEFI CA 2011",
        ),
        (KeySet::Microsoft2023, "Microsoft UEFI CA 2023"),
    ] {
        let accepted = firmware(keys).check(&program(SHIM));
        assert_eq!(accepted.as_deref(), Ok(authority), "{keys:?}");
        let refused = firmware(keys).check(&program(GRUB));
        assert!(
            matches!(refused, Err(Refusal::UnknownSigner(_))),
            "{refused:?}"
        );
        assert_eq!(firmware(keys).check(&program(IPXE)), Err(Refusal::Unsigned));
    }
}

#[test]
fn check_refuses_a_shim_of_2011_on_firmware_of_2023() {
    let of_2011 = |one: &Signature| one.issuer == "Microsoft Corporation UEFI CA 2011";
    let old = with_kept_signatures(&bytes(SHIM), of_2011).unwrap();
    let old = Program::read(&old).unwrap();
    assert_eq!(old.sha256, program(SHIM).sha256);
    assert!(firmware(KeySet::Microsoft2011).check(&old).is_ok());
    let refused = firmware(KeySet::Microsoft2023).check(&old).unwrap_err();
    assert!(
        matches!(&refused, Refusal::UnknownSigner(who) if who.len() == 1),
        "{refused:?}"
    );
    let none = with_kept_signatures(&bytes(SHIM), |_| false).unwrap();
    let none = Program::read(&none).unwrap();
    assert_eq!(
        firmware(KeySet::Microsoft2011).check(&none),
        Err(Refusal::Unsigned)
    );
}

#[test]
fn check_by_shim_accepts_what_its_vendor_signed() {
    let shim = program(SHIM);
    let trust = firmware(KeySet::Microsoft2023).of_shim(&shim);
    assert_eq!(
        trust.check(&program(GRUB)).as_deref(),
        Ok("Debian Secure Boot CA")
    );
    assert!(trust.check(&program(MOK_MANAGER)).is_ok());
    assert_eq!(trust.check(&program(GRUB_UNSIGNED)), Err(Refusal::Unsigned));
}

#[test]
fn check_refuses_hashes_in_dbx_and_old_generations() {
    let shim = program(SHIM);
    let mut trust = firmware(KeySet::Microsoft2011);
    trust
        .refused
        .hashes
        .push((uefi_variables::MICROSOFT, shim.sha256));
    assert_eq!(trust.check(&shim), Err(Refusal::Forbidden));
    let mut trust = firmware(KeySet::Microsoft2011).of_shim(&shim);
    trust.level = Level::read(b"sbat,1,2099010100\ngrub,6\n");
    let refused = trust.check(&program(GRUB)).unwrap_err();
    assert!(
        matches!(&refused, Refusal::Outdated { component, generation: 5, minimum: 6 } if component == "grub"),
        "{refused:?}"
    );
}

#[test]
fn check_refuses_a_file_that_was_changed() {
    let mut changed = bytes(SHIM);
    // In the text section.
    changed[0x30000] ^= 1;
    let changed = Program::read(&changed).unwrap();
    let refused = firmware(KeySet::Microsoft2011).check(&changed);
    assert_eq!(
        refused,
        Err(Refusal::Damaged(SignatureProblem::FileChanged.to_string()))
    );
}

#[test]
fn read_of_damaged_files_never_panics() {
    let whole = bytes(MOK_MANAGER);
    assert!(matches!(
        Program::read(b"#!ipxe\n"),
        Err(ProgramError::NotPe)
    ));
    let table = whole.len() - 1500;
    for at in (0x80..0x400).chain((table..whole.len()).step_by(7)) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        if let Ok(program) = Program::read(&damaged) {
            let _ = firmware(KeySet::Microsoft2011).check(&program);
        }
    }
    for length in (0..whole.len()).step_by(40_009) {
        let _ = Program::read(&whole[..length]);
    }
}
