//! `autoexec.ipxe`: the script that an iPXE looks for beside itself before it does anything else.
//!
//! iPXE under UEFI runs it with no network device configured. Where another DHCP server names
//! `ipxe.efi` to everyone, iPXE too, this script is what keeps a machine from loading iPXE for ever.

/// The file's name.
pub const AUTOEXEC: &str = "autoexec.ipxe";

/// Renders a script that continues with the script at `url`; if that is unavailable, iPXE boots as it would
/// have without this file.
pub fn render(url: &str) -> String {
    // iPXE expands `${…}` in the URL; the address of `${net0/…}` needs the DHCP exchange before.
    format!("#!ipxe\ndhcp && chain --autofree {url} || autoboot\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_configures_the_network_before_it_goes_on() {
        assert_eq!(
            render("http://10.0.0.1:8080/boot.ipxe?platform=${platform}"),
            "#!ipxe\ndhcp && chain --autofree \
             http://10.0.0.1:8080/boot.ipxe?platform=${platform} || autoboot\n"
        );
    }
}
