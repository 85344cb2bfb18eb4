//! Client system architectures: RFC 4578 §2.1 and IANA's list "Processor Architecture Types".

/// Client system architecture (option 93).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientArch {
    /// 0: x86 BIOS.
    Bios,
    /// 6: x86 UEFI.
    EfiIa32,
    /// 7: x64 UEFI in practice, whatever RFC 4578 first printed.
    EfiX64,
    /// 9: EBC by IANA's list; some x64 firmware sends it, as RFC 4578 printed the two swapped.
    EfiX64OrEbc,
    /// 10: 32-bit ARM UEFI.
    EfiArm32,
    /// 11: 64-bit ARM UEFI.
    EfiArm64,
    /// 15: x86 UEFI booting over HTTP.
    EfiIa32Http,
    /// 16: x64 UEFI booting over HTTP.
    EfiX64Http,
    /// 18: 32-bit ARM UEFI booting over HTTP.
    EfiArm32Http,
    /// 19: 64-bit ARM UEFI booting over HTTP.
    EfiArm64Http,
    /// 21: 32-bit ARM U-Boot, which runs UEFI programs.
    UBootArm32,
    /// 22: 64-bit ARM U-Boot, which runs UEFI programs.
    UBootArm64,
    /// 23: 32-bit ARM U-Boot booting over HTTP.
    UBootArm32Http,
    /// 24: 64-bit ARM U-Boot booting over HTTP.
    UBootArm64Http,
    /// 25: 32-bit RISC-V UEFI.
    EfiRiscV32,
    /// 26: 32-bit RISC-V UEFI booting over HTTP.
    EfiRiscV32Http,
    /// 27: 64-bit RISC-V UEFI.
    EfiRiscV64,
    /// 28: 64-bit RISC-V UEFI booting over HTTP.
    EfiRiscV64Http,
    /// 41: a Raspberry Pi's own boot loader.
    RaspberryPi,
    /// Any other value of option 93.
    Other(u16),
}

/// Each named architecture and its number on the wire.
const NUMBERS: [(ClientArch, u16); 19] = [
    (ClientArch::Bios, 0),
    (ClientArch::EfiIa32, 6),
    (ClientArch::EfiX64, 7),
    (ClientArch::EfiX64OrEbc, 9),
    (ClientArch::EfiArm32, 10),
    (ClientArch::EfiArm64, 11),
    (ClientArch::EfiIa32Http, 15),
    (ClientArch::EfiX64Http, 16),
    (ClientArch::EfiArm32Http, 18),
    (ClientArch::EfiArm64Http, 19),
    (ClientArch::UBootArm32, 21),
    (ClientArch::UBootArm64, 22),
    (ClientArch::UBootArm32Http, 23),
    (ClientArch::UBootArm64Http, 24),
    (ClientArch::EfiRiscV32, 25),
    (ClientArch::EfiRiscV32Http, 26),
    (ClientArch::EfiRiscV64, 27),
    (ClientArch::EfiRiscV64Http, 28),
    (ClientArch::RaspberryPi, 41),
];

impl ClientArch {
    /// Decodes a number on the wire.
    pub fn from_wire(value: u16) -> ClientArch {
        NUMBERS
            .iter()
            .find(|(_, number)| *number == value)
            .map_or(ClientArch::Other(value), |(arch, _)| *arch)
    }

    /// Returns the number on the wire.
    pub fn to_wire(self) -> u16 {
        match self {
            ClientArch::Other(value) => value,
            named => NUMBERS
                .iter()
                .find(|(arch, _)| *arch == named)
                .map_or(u16::MAX, |(_, number)| *number),
        }
    }

    /// True if the client boots over HTTP instead of TFTP (UEFI 2.10, section 24.7).
    pub fn is_http(self) -> bool {
        matches!(
            self,
            ClientArch::EfiIa32Http
                | ClientArch::EfiX64Http
                | ClientArch::EfiArm32Http
                | ClientArch::EfiArm64Http
                | ClientArch::UBootArm32Http
                | ClientArch::UBootArm64Http
                | ClientArch::EfiRiscV32Http
                | ClientArch::EfiRiscV64Http
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_survives_and_the_named_ones_are_named() {
        for value in 0..=u16::MAX {
            assert_eq!(ClientArch::from_wire(value).to_wire(), value);
        }
        let other = |value| matches!(ClientArch::from_wire(value), ClientArch::Other(_));
        let named: Vec<u16> = (0..100).filter(|value| !other(*value)).collect();
        assert_eq!(
            named,
            [
                0, 6, 7, 9, 10, 11, 15, 16, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 41
            ]
        );
    }
}
