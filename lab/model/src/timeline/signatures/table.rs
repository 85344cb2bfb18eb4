//! The one table of texts that consoles are searched for.

use super::Anchor::{Anywhere, Start};
use super::Meaning::{Banner, Config, Hopeless, Trouble};
use super::{Anchor, ConfigNews, Meaning, Place, Program, Signature};

pub(super) const FIRMWARE: &[Place] = &[Place::Firmware];
pub(super) const KERNEL: &[Place] = &[Place::Kernel];
pub(super) const SYSTEM: &[Place] = &[Place::Initramfs, Place::Userland];

const fn signature(
    text: &'static str,
    anchor: Anchor,
    places: &'static [Place],
    meaning: Meaning,
    (product, reference): (&'static str, &'static str),
) -> Signature {
    Signature {
        text,
        anchor,
        places,
        meaning,
        product,
        reference,
    }
}

/// Every text that is known. Of several that fit a line, each counts.
#[rustfmt::skip]
pub(crate) const SIGNATURES: &[Signature] = &[
    signature("SeaBIOS (version", Start, FIRMWARE, Banner(Program::SeaBios), ("SeaBIOS 1.16", "src/bootsplash.c")),
    signature("No bootable device", Start, FIRMWARE, Hopeless("SeaBIOS has nothing left to boot"), ("SeaBIOS 1.16", "src/boot.c, boot_fail")),
    signature("Open Source Network Boot Firmware", Anywhere, FIRMWARE, Banner(Program::Ipxe), ("iPXE 1.21", "src/usr/autoboot.c, ipxe")),
    signature("No more network devices", Start, FIRMWARE, Hopeless("iPXE gave up"), ("iPXE 1.21", "src/usr/autoboot.c, netboot")),
    signature("Could not boot", Start, FIRMWARE, Trouble, ("iPXE 1.21", "src/hci/commands/image_cmd.c, imgsingle_exec; a script may go on")),
    signature("Connection timed out", Anywhere, FIRMWARE, Trouble, ("iPXE 1.21", "ipxe.org/4c")),
    signature("No such file or directory (http", Anywhere, FIRMWARE, Trouble, ("iPXE 1.21", "ipxe.org/2d")),
    signature("Exec format error", Anywhere, FIRMWARE, Trouble, ("iPXE 1.21", "ipxe.org/2e")),
    signature("Not enough memory", Anywhere, FIRMWARE, Trouble, ("iPXE 1.21, syslinux 6.04", "ipxe.org/31")),
    signature("PXELINUX ", Start, FIRMWARE, Banner(Program::Pxelinux), ("syslinux 6.04", "core/pxelinux.asm, copyright")),
    signature("Boot failed:", Start, FIRMWARE, Hopeless("PXELINUX gave up"), ("syslinux 6.04", "core/pxelinux.asm, err_bootfailed")),
    signature("Unable to locate configuration file", Start, FIRMWARE, Hopeless("PXELINUX found no configuration"), ("syslinux 6.04", "core/fs/pxe/pxe.c")),
    signature(".vmlinuz... failed", Anywhere, FIRMWARE, Hopeless("PXELINUX could not load the kernel"), ("syslinux 6.04", "com32/elflink/ldlinux/kernel.c")),
    signature("PXE-E", Start, FIRMWARE, Hopeless("the UEFI PXE client gave up"), ("EDK2 2022.11", "NetworkPkg/UefiPxeBcDxe/PxeBcBoot.c")),
    signature("TFTP open timeout", Anywhere, FIRMWARE, Trouble, ("Intel Boot Agent", "PXE-E32")),
    signature("UEFI firmware (version ", Start, FIRMWARE, Banner(Program::ArmVirt), ("EDK2 2022.11, ArmVirtPkg", "ArmVirtPkg/PrePi/PrePi.c, PrePiMain")),
    signature("BdsDxe: ", Start, FIRMWARE, Banner(Program::Edk2), ("EDK2 2022.11", "MdeModulePkg/Universal/BdsDxe/BdsEntry.c")),
    signature("BdsDxe: No bootable option", Start, FIRMWARE, Hopeless("the UEFI firmware has nothing left to boot"), ("EDK2 2022.11", "MdeModulePkg/Universal/BdsDxe/BdsEntry.c")),

    signature("Linux version ", Start, KERNEL, Banner(Program::Linux), ("Linux 6.1", "init/version.c, linux_banner")),
    signature("Kernel panic - not syncing", Start, KERNEL, Hopeless("the kernel panicked"), ("Linux 6.1", "kernel/panic.c")),
    signature("Oops:", Anywhere, KERNEL, Trouble, ("Linux 6.1", "arch/x86/kernel/dumpstack.c")),
    signature("Out of memory", Start, KERNEL, Trouble, ("Linux 6.1", "mm/oom_kill.c")),
    signature("Initramfs unpacking failed", Start, KERNEL, Trouble, ("Linux 6.1", "init/initramfs.c")),

    signature("You are in emergency mode", Start, SYSTEM, Hopeless("the system went into emergency mode"), ("systemd 252", "src/sulogin-shell/sulogin-shell.c")),
    signature("Entering emergency mode", Start, SYSTEM, Hopeless("the system went into emergency mode"), ("dracut 059", "modules.d/99base/dracut-lib.sh, emergency_shell")),
    signature("stand-in: Entering emergency mode", Start, SYSTEM, Hopeless("the system went into emergency mode"), ("the stand-in", "images/stand-in/initramfs/init")),
    signature("[FAILED] Failed to start", Start, SYSTEM, Trouble, ("systemd 252", "src/core/job.c, job_print_done_status_message")),
    signature("Failed to start", Start, SYSTEM, Trouble, ("systemd 252, systemd.log_target=console", "src/core/job.c")),
    signature("Ignition failed", Anywhere, SYSTEM, Trouble, ("Ignition 2.14", "dracut/30ignition/ignition-generator")),

    signature("guest-agent: cloud-config applied", Start, SYSTEM, Config(ConfigNews::Applied), ("the stand-in", "images/guest")),
    signature("guest-agent: script started", Start, SYSTEM, Config(ConfigNews::Applied), ("the stand-in", "images/guest")),
    signature("guest-agent: FAILED", Start, SYSTEM, Config(ConfigNews::Failed), ("the stand-in", "images/guest")),
    signature("guest-agent: nothing applied", Start, SYSTEM, Config(ConfigNews::Nothing), ("the stand-in", "images/guest")),
    signature("stand-in: Ignition finished successfully", Start, SYSTEM, Config(ConfigNews::Applied), ("the stand-in", "images/stand-in/initramfs/init")),
    signature("stand-in: FAILED: Ignition", Start, SYSTEM, Config(ConfigNews::Failed), ("the stand-in", "images/stand-in/initramfs/init")),
    signature("Ignition failed", Anywhere, SYSTEM, Config(ConfigNews::Failed), ("Ignition 2.14", "dracut/30ignition/ignition-generator")),
    signature("Failed to apply cloud-config", Anywhere, SYSTEM, Config(ConfigNews::Failed), ("coreos-cloudinit 1.14", "coreos-cloudinit.go, main")),
    signature("Datasource DataSourceNoCloud", Anywhere, SYSTEM, Config(ConfigNews::Applied), ("cloud-init 22.4.2", "cloudinit/config/cc_final_message.py")),
    signature("Datasource DataSourceNone", Anywhere, SYSTEM, Config(ConfigNews::Nothing), ("cloud-init 22.4.2", "cloudinit/config/cc_final_message.py")),
    signature(".py[WARNING]: ", Anywhere, SYSTEM, Config(ConfigNews::Failed), ("cloud-init 22.4.2", "config/cloud.cfg.d/05_logging.cfg; status and exit code stay those of a success")),
    signature(".py[ERROR]: ", Anywhere, SYSTEM, Config(ConfigNews::Failed), ("cloud-init 22.4.2", "config/cloud.cfg.d/05_logging.cfg")),
    signature("status: error", Start, SYSTEM, Config(ConfigNews::Failed), ("cloud-init 22.4.2", "cloudinit/cmd/status.py, printed by images/cloud-init/rootfs/usr/lib/lab/login")),
    signature("status: disabled", Start, SYSTEM, Config(ConfigNews::Nothing), ("cloud-init 22.4.2", "cloudinit/cmd/status.py, printed by images/cloud-init/rootfs/usr/lib/lab/login")),
    signature("Failed to start ", Anywhere, SYSTEM, Config(ConfigNews::UnitFailed), ("systemd 252", "src/core/job.c, job_print_done_status_message")),
];
