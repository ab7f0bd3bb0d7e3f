//! TLS for a listener, by rustls with the cryptography of ring; certificates may change while it
//! runs. The API and the operations listener have their own, or name the same files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;

use crate::settings::TlsSettings;
use crate::watch::{self, Settling, Watching};

/// How often it is looked whether the files have changed.
const INTERVAL: Duration = Duration::from_secs(1);

/// Why TLS cannot be served. Neither paths nor contents are told.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or may not be read.
    #[error("{table}.{file} cannot be read: {kind}")]
    Read {
        /// The table of the setting.
        table: &'static str,
        /// The setting.
        file: &'static str,
        /// Why.
        kind: std::io::ErrorKind,
    },
    /// A file is not PEM of what it should be.
    #[error("{table}.{file} is not PEM of what it should be")]
    Pem {
        /// The table of the setting.
        table: &'static str,
        /// The setting.
        file: &'static str,
    },
    /// There is no certificate in the file.
    #[error("{0}.certificate has no certificate")]
    Empty(&'static str),
    /// The key is of no known kind, or not the certificate's.
    #[error("{0}.key is not the key of {0}.certificate, or of a kind that is not known")]
    Pair(&'static str),
    /// The library and its cryptography do not fit together.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// The certificate and key that new connections get.
#[derive(Debug)]
pub struct Certificates {
    files: Files,
    current: RwLock<Arc<CertifiedKey>>,
    seen: Mutex<Settling<Option<Contents>>>,
}

#[derive(Debug, Clone)]
struct Files {
    /// Of the settings that name them.
    table: &'static str,
    certificate: PathBuf,
    key: PathBuf,
}

/// What the files hold.
#[derive(Clone, PartialEq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Certificates {
    /// Reads the files, if the settings name some.
    ///
    /// # Errors
    /// If they cannot be read, or do not fit together.
    pub fn load(settings: &TlsSettings) -> Result<Option<Arc<Self>>, TlsError> {
        let TlsSettings::On { table, certificate, key } = settings else { return Ok(None) };
        let files = Files { table, certificate: certificate.clone(), key: key.clone() };
        let contents = files.read()?;
        let current = RwLock::new(Arc::new(contents.parse(table)?));
        let seen = Mutex::new(Settling::new(Some(contents)));
        Ok(Some(Arc::new(Self { files, current, seen })))
    }

    /// What a listener is made with.
    ///
    /// # Errors
    /// If the library refuses its own defaults.
    pub(crate) fn config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::new(provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Setup)?;
        Ok(builder.with_no_client_auth().with_cert_resolver(Arc::clone(self) as _))
    }

    /// Takes over changed files until what comes back is dropped.
    ///
    /// # Errors
    /// If there can be no thread.
    pub(crate) fn watch(self: Arc<Self>) -> std::io::Result<Watching> {
        watch::every(INTERVAL, move || self.look())
    }

    /// Looks at the files. A pair that cannot be used, such as a new certificate whose key is still
    /// on its way, leaves the former one.
    fn look(&self) {
        let read = self.files.read();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.settles(read.as_ref().ok().cloned()) {
            return;
        }
        let table = self.files.table;
        match read.and_then(|contents| contents.parse(table)) {
            Ok(pair) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                tracing::info!(table, "the certificate was loaded again");
            }
            Err(error) => {
                tracing::error!(table, %error, "the certificate has changed and cannot be used; the former one stays");
            }
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Files {
    fn read(&self) -> Result<Contents, TlsError> {
        let read = |path: &Path, file| {
            let table = self.table;
            std::fs::read(path).map_err(|error| TlsError::Read { table, file, kind: error.kind() })
        };
        Ok(Contents {
            certificate: read(&self.certificate, "certificate")?,
            key: read(&self.key, "key")?,
        })
    }
}

impl Contents {
    fn parse(&self, table: &'static str) -> Result<CertifiedKey, TlsError> {
        let pem = |file| TlsError::Pem { table, file };
        let chain =
            CertificateDer::pem_slice_iter(&self.certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|_| pem("certificate"))?;
        if chain.is_empty() {
            return Err(TlsError::Empty(table));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| pem("key"))?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(|_| TlsError::Pair(table))
    }
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contents")
    }
}

fn provider() -> CryptoProvider {
    ring::default_provider()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn settings(certificate: PathBuf, key: PathBuf) -> TlsSettings {
        TlsSettings::On { table: "ops_tls", certificate, key }
    }

    /// The chain that new connections get.
    fn served(certificates: &Certificates) -> Vec<u8> {
        certificates.current.read().unwrap().cert[0].to_vec()
    }

    #[test]
    fn a_changed_pair_is_served_once_both_files_fit() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
        let [old, new] = ["old", "new"].map(pair);
        write("certificate", &old.0);
        write("key", &old.1);
        let settings = settings(path("certificate"), path("key"));
        let certificates = Certificates::load(&settings).unwrap().unwrap();
        let first = served(&certificates);
        let looks = || (0..3).for_each(|_| certificates.look());
        for (name, text) in [("certificate", new.0.as_str()), ("key", "half"), ("certificate", "")]
        {
            write(name, text);
            looks();
            assert_eq!(served(&certificates), first);
        }
        write("certificate", &new.0);
        write("key", &new.1);
        looks();
        assert_ne!(served(&certificates), first);
    }

    #[test]
    fn what_cannot_be_served_is_said_without_quoting_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let [a, b] = ["a", "b"].map(pair);
        let hush = "-----BEGIN CERTIFICATE-----\nhush";
        for (certificate, key, said) in [
            (a.0.as_str(), b.1.as_str(), "ops_tls.key is not the key of ops_tls.certificate"),
            ("hush", a.1.as_str(), "ops_tls.certificate has no certificate"),
            (hush, a.1.as_str(), "ops_tls.certificate is not PEM"),
            (a.0.as_str(), "hush", "ops_tls.key is not PEM"),
        ] {
            std::fs::write(path("certificate"), certificate).unwrap();
            std::fs::write(path("key"), key).unwrap();
            let settings = settings(path("certificate"), path("key"));
            let error = Certificates::load(&settings).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("hush"), "{error}");
        }
        let settings = settings(path("none"), path("key"));
        let error = Certificates::load(&settings).unwrap_err().to_string();
        assert_eq!(error, "ops_tls.certificate cannot be read: entity not found");
        assert!(Certificates::load(&TlsSettings::Off).unwrap().is_none());
    }
}
