//! Authorities of web servers (`NetworkPkg/TlsAuthConfigDxe` and `HttpDxe/HttpsSupport.c` of EDK2; iPXE reads the same
//! variable since 2024, `interface/efi/efi_cacert.c`).

use uuid::{Uuid, uuid};

use crate::signatures::{MICROSOFT, Signatures};
use crate::store::{Attributes, Variable, VariableStore};

/// Vendor of the variable (`gEfiTlsCaCertificateGuid`).
const TLS_CA_CERTIFICATE: Uuid = uuid!("fd2340d0-3dab-4349-a6c7-3b4f12b48eae");
/// Name of the variable.
const NAME: &str = "TlsCaCertificate";

/// Makes the firmware trust web servers whose certificates are issued by these authorities, and no others. Certificates are in DER.
pub fn trust_web_servers_of(store: &mut VariableStore, authorities: &[&[u8]]) {
    let data = Signatures::of_certificates(MICROSOFT, authorities).to_data();
    let variable = Variable::new(NAME, TLS_CA_CERTIFICATE, Attributes::BOOT, data);
    store.set(variable);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_web_servers_of_replaces_the_authorities() {
        let image = std::fs::read("/usr/share/OVMF/OVMF_VARS_4M.fd").expect("package ovmf");
        let mut store = VariableStore::read(&image).unwrap();
        trust_web_servers_of(&mut store, &[&[1; 900]]);
        trust_web_servers_of(&mut store, &[&[2; 700], &[3; 800]]);
        let store = VariableStore::read(&store.to_image().unwrap()).unwrap();
        let found = store.get(NAME, TLS_CA_CERTIFICATE).unwrap();
        assert_eq!(found.attributes, Attributes::BOOT);
        let read = Signatures::read(&found.data).certificates;
        let certificates: Vec<usize> = read.iter().map(|(_, der)| der.len()).collect();
        assert_eq!(certificates, [700, 800]);
    }
}
