//! Boot programs of Debian's packages that Secure Boot accepts, in the folder that shim is served from.

/// A program that Secure Boot accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedProgram {
    /// Name in [`SHIM_FOLDER`](crate::SHIM_FOLDER).
    pub name: &'static str,
    /// File of the package.
    pub file: &'static str,
    /// Debian's package that contains the file.
    pub package: &'static str,
}

/// shim for x64.
pub const SHIM_X64: SignedProgram = SignedProgram {
    name: "bootx64.efi",
    file: "/usr/lib/shim/shimx64.efi.signed",
    package: "shim-signed",
};

/// GRUB for x64: the build for the network, whose prefix is `/grub`.
pub const GRUB_X64: SignedProgram = SignedProgram {
    name: "grubx64.efi",
    file: "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
    package: "grub-efi-amd64-signed",
};

/// Programs in shim's folder, unless the operator has files of these names.
pub const SIGNED_PROGRAMS: [SignedProgram; 6] = [
    SHIM_X64,
    GRUB_X64,
    SignedProgram {
        name: "mmx64.efi",
        file: "/usr/lib/shim/mmx64.efi.signed",
        package: "shim-helpers-amd64-signed",
    },
    SignedProgram {
        name: "bootaa64.efi",
        file: "/usr/lib/shim/shimaa64.efi.signed",
        package: "shim-signed",
    },
    SignedProgram {
        name: "grubaa64.efi",
        file: "/usr/lib/grub/arm64-efi-signed/grubnetaa64.efi.signed",
        package: "grub-efi-arm64-signed",
    },
    SignedProgram {
        name: "mmaa64.efi",
        file: "/usr/lib/shim/mmaa64.efi.signed",
        package: "shim-helpers-arm64-signed",
    },
];
