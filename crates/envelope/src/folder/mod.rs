//! The keys folder: one file for each key, so that a deployment gives each stage only its own.
//!
//! ```text
//! keys/                          0700; private files 0600, 32 bytes as hex
//!   opening/ID.key               masker
//!   senders/STAGE.key            that stage
//!   public/opening/ID.pub        every stage; `public/opening/current` names the one to seal to
//!   public/senders/STAGE/ID.pub  masker
//!   decision.key                 approver: signs votes and decisions
//!   public/decision/ID.pub       approver, ingest-proxy: whose decisions count
//!   token.key                    masker, ingest-proxy, approver: keyed tokens in place of secrets
//!   session.key                  every stage that seals: session ids
//!   gateway.key                  ingest-proxy, masker: keyed hashes of clear bytes
//! ```
//! A key is made before it is used: public half, private half, and only then its use. So whatever
//! is interrupted when, `new` or `rotate` run again and nothing sealed is unreadable.

use std::io;
use std::path::{Path, PathBuf};

use crate::folder::file::Readers;
use crate::key::{KeyId, PrivateKey, PublicKey};
use crate::limits::KEYS_MAX;
use crate::opener::{KnownSender, Opener};
use crate::own::OwnSeal;
use crate::secret::{NoChance, Secret};
use crate::signed::{SigningKey, VerifyingKey, VerifyingKeys};
use crate::stage::Stage;

mod file;

/// Why keys could not be read or made. Names files, never what is in them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// There is no such key.
    #[error("{} is missing; `trailgate keys new` creates it", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Others than its owner can read a private key, so it is private no longer.
    #[error("{} can be read by others (mode {mode:o}): replace the key, then keep it at 600", path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is not 64 hex digits, or not the key that its name says.
    #[error("{} is not the key that its name says", path.display())]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// More keys than any rotation makes.
    #[error("{} holds more than {max} keys", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// How many there may be.
        max: usize,
    },
    /// The file system refused.
    #[error("{}: {kind}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        kind: io::ErrorKind,
    },
    /// No new key could be drawn.
    #[error(transparent)]
    NoChance(#[from] NoChance),
}

/// What `new` or `rotate` wrote, in the order of writing; what was there is not named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files relative to the folder.
    pub files: Vec<PathBuf>,
}

/// What a stage needs to seal.
#[derive(Clone, Debug)]
pub struct SealingKeys {
    /// Its own key.
    pub sender: PrivateKey,
    /// Whom it seals to.
    pub opening: PublicKey,
}

/// What the masker needs to open.
#[derive(Clone, Debug)]
pub struct OpeningKeys {
    /// The key that is sealed to now.
    pub current: PrivateKey,
    /// Those before it, and one about to become current.
    pub others: Vec<PrivateKey>,
    /// Who may have sealed.
    pub senders: Vec<KnownSender>,
}

impl OpeningKeys {
    /// An opener with these keys.
    #[must_use]
    pub fn opener(&self) -> Opener {
        let opening = self.others.iter().chain([&self.current]).cloned().collect();
        Opener::new(opening, self.senders.clone())
    }

    /// The ids of all these keys, the current one first: two sets with the same ids are the same.
    #[must_use]
    pub fn ids(&self) -> Vec<KeyId> {
        let opening = [&self.current].into_iter().chain(&self.others).map(PrivateKey::id);
        opening.chain(self.senders.iter().map(|sender| sender.key.id())).collect()
    }

    /// A seal to oneself with these keys.
    #[must_use]
    pub fn own_seal(&self) -> OwnSeal {
        OwnSeal::new(&self.current, &self.others)
    }
}

/// A keys folder.
#[derive(Clone, Debug)]
pub struct KeysFolder {
    root: PathBuf,
}

impl KeysFolder {
    /// The folder at `root`; nothing is touched yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Creates every key that is missing; what is there stays.
    ///
    /// # Errors
    /// [`KeysError`]; run it again when the reason is gone.
    pub fn create_missing(&self) -> Result<Written, KeysError> {
        let mut written = Written::default();
        self.create_folders()?;
        if file::read_text(&self.current_path(), Readers::Anybody)?.is_none() {
            self.add_opening(&mut written)?;
        }
        for stage in Stage::ALL {
            match self.read_private(&self.sender_path(*stage))? {
                Some(key) => self.publish_sender(*stage, &key, &mut written)?,
                None => self.add_sender(*stage, &mut written)?,
            }
        }
        match file::read(&self.decision_path(), Readers::Owner)? {
            Some(bytes) => {
                let key = SigningKey::new(Secret::new(bytes));
                self.publish_decision(&key, &mut written)?;
            }
            None => self.add_decision(&mut written)?,
        }
        for path in [self.token_path(), self.session_path(), self.gateway_path()] {
            if file::read(&path, Readers::Owner)?.is_none() {
                let text = hex_line(Secret::draw()?.bytes());
                if file::create(&path, &text, Readers::Owner)? {
                    self.note(&path, &mut written);
                }
            }
        }
        Ok(written)
    }

    /// Adds a new opening key and makes it current, gives each stage a new sender key, and the
    /// approver a new key to sign with. Old opening keys and old public keys stay, so that what was
    /// sealed before still opens and what was signed still counts. A stage seals and signs with the
    /// new keys from its next start; a running masker and a running gateway find them by themselves.
    ///
    /// # Errors
    /// [`KeysError`]; what was done until then holds.
    pub fn rotate(&self) -> Result<Written, KeysError> {
        let mut written = Written::default();
        if file::read_text(&self.current_path(), Readers::Anybody)?.is_none() {
            return Err(KeysError::Missing { path: self.current_path() });
        }
        self.create_folders()?;
        self.add_opening(&mut written)?;
        for stage in Stage::ALL {
            self.add_sender(*stage, &mut written)?;
        }
        self.add_decision(&mut written)?;
        Ok(written)
    }

    /// What `stage` needs to seal.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn load_sealing(&self, stage: Stage) -> Result<SealingKeys, KeysError> {
        let path = self.sender_path(stage);
        let sender = self.read_private(&path)?.ok_or(KeysError::Missing { path })?;
        let path = self.public_opening_path(self.current()?);
        Ok(SealingKeys { sender, opening: read_public(&path)? })
    }

    /// What the masker needs to open.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn load_opening(&self) -> Result<OpeningKeys, KeysError> {
        let current_id = self.current()?;
        let (mut current, mut others) = (None, Vec::new());
        for stem in file::stems(&self.root.join("opening"), "key", KEYS_MAX)? {
            let path = self.root.join("opening").join(format!("{stem}.key"));
            let key = self.read_private(&path)?.filter(|key| key.id().to_string() == stem);
            let key = key.ok_or(KeysError::Form { path })?;
            if key.id() == current_id { current = Some(key) } else { others.push(key) }
        }
        let missing = || KeysError::Missing { path: self.opening_path(current_id) };
        Ok(OpeningKeys { current: current.ok_or_else(missing)?, others, senders: self.senders()? })
    }

    /// The public keys of every stage.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn senders(&self) -> Result<Vec<KnownSender>, KeysError> {
        let mut senders = Vec::new();
        for stage in Stage::ALL {
            let folder = self.public_senders(*stage);
            for stem in file::stems(&folder, "pub", KEYS_MAX)? {
                let key = read_public(&folder.join(format!("{stem}.pub")))?;
                senders.push(KnownSender { stage: *stage, key });
            }
        }
        Ok(senders)
    }

    /// The key that signs votes and decisions.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn load_decision(&self) -> Result<SigningKey, KeysError> {
        load_secret(self.decision_path()).map(SigningKey::new)
    }

    /// Whose votes and decisions count: the public halves of the decision key and of those before
    /// it.
    ///
    /// # Errors
    /// [`KeysError`]; [`KeysError::Missing`] if there is none.
    pub fn load_deciders(&self) -> Result<VerifyingKeys, KeysError> {
        let folder = self.public_decision();
        let mut keys = Vec::new();
        for stem in file::stems(&folder, "pub", KEYS_MAX)? {
            let path = folder.join(format!("{stem}.pub"));
            let bytes = file::read(&path, Readers::Anybody)?;
            let key = bytes.map(VerifyingKey::new).filter(|key| key.id().to_string() == stem);
            keys.push(key.ok_or(KeysError::Form { path })?);
        }
        if keys.is_empty() {
            return Err(KeysError::Missing { path: folder });
        }
        Ok(VerifyingKeys::new(keys))
    }

    /// The key of the tokens that stand in place of secrets.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn load_token(&self) -> Result<Secret, KeysError> {
        load_secret(self.token_path())
    }

    /// The key of session ids.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn load_session(&self) -> Result<Secret, KeysError> {
        load_secret(self.session_path())
    }

    /// The key of keyed hashes of clear bytes.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn load_gateway(&self) -> Result<Secret, KeysError> {
        load_secret(self.gateway_path())
    }

    fn create_folders(&self) -> Result<(), KeysError> {
        for folder in [
            "",
            "opening",
            "senders",
            "public",
            "public/opening",
            "public/senders",
            "public/decision",
        ] {
            file::create_folder(&self.root.join(folder))?;
        }
        Stage::ALL.iter().try_for_each(|stage| file::create_folder(&self.public_senders(*stage)))
    }

    fn add_opening(&self, written: &mut Written) -> Result<(), KeysError> {
        let key = PrivateKey::draw()?;
        let (private, public) = (self.opening_path(key.id()), self.public_opening_path(key.id()));
        file::create(&private, &hex_line(key.secret().bytes()), Readers::Owner)?;
        file::create(&public, &hex_line(key.public().bytes()), Readers::Anybody)?;
        file::replace(&self.current_path(), &format!("{}\n", key.id()), Readers::Anybody)?;
        [private, public, self.current_path()].iter().for_each(|path| self.note(path, written));
        Ok(())
    }

    fn add_sender(&self, stage: Stage, written: &mut Written) -> Result<(), KeysError> {
        let key = PrivateKey::draw()?;
        self.publish_sender(stage, &key, written)?;
        let path = self.sender_path(stage);
        file::replace(&path, &hex_line(key.secret().bytes()), Readers::Owner)?;
        self.note(&path, written);
        Ok(())
    }

    fn publish_sender(
        &self,
        stage: Stage,
        key: &PrivateKey,
        written: &mut Written,
    ) -> Result<(), KeysError> {
        let path = self.public_senders(stage).join(format!("{}.pub", key.id()));
        if file::create(&path, &hex_line(key.public().bytes()), Readers::Anybody)? {
            self.note(&path, written);
        }
        Ok(())
    }

    fn add_decision(&self, written: &mut Written) -> Result<(), KeysError> {
        let key = SigningKey::draw()?;
        self.publish_decision(&key, written)?;
        let path = self.decision_path();
        file::replace(&path, &hex_line(key.secret().bytes()), Readers::Owner)?;
        self.note(&path, written);
        Ok(())
    }

    fn publish_decision(&self, key: &SigningKey, written: &mut Written) -> Result<(), KeysError> {
        let path = self.public_decision().join(format!("{}.pub", key.id()));
        if file::create(&path, &hex_line(key.public().bytes()), Readers::Anybody)? {
            self.note(&path, written);
        }
        Ok(())
    }

    fn current(&self) -> Result<KeyId, KeysError> {
        let path = self.current_path();
        let text = file::read_text(&path, Readers::Anybody)?;
        let text = text.ok_or_else(|| KeysError::Missing { path: path.clone() })?;
        text.trim_ascii().parse().map_err(|_| KeysError::Form { path })
    }

    fn read_private(&self, path: &Path) -> Result<Option<PrivateKey>, KeysError> {
        let bytes = file::read(path, Readers::Owner)?;
        Ok(bytes.map(|bytes| PrivateKey::new(Secret::new(bytes))))
    }

    fn note(&self, path: &Path, written: &mut Written) {
        let inside = path.strip_prefix(&self.root).unwrap_or(path);
        written.files.push(inside.to_path_buf());
    }

    fn opening_path(&self, id: KeyId) -> PathBuf {
        self.root.join(format!("opening/{id}.key"))
    }

    fn public_opening_path(&self, id: KeyId) -> PathBuf {
        self.root.join(format!("public/opening/{id}.pub"))
    }

    fn current_path(&self) -> PathBuf {
        self.root.join("public/opening/current")
    }

    fn sender_path(&self, stage: Stage) -> PathBuf {
        self.root.join(format!("senders/{stage}.key"))
    }

    fn public_senders(&self, stage: Stage) -> PathBuf {
        self.root.join(format!("public/senders/{stage}"))
    }

    fn decision_path(&self) -> PathBuf {
        self.root.join("decision.key")
    }

    fn public_decision(&self) -> PathBuf {
        self.root.join("public/decision")
    }

    fn token_path(&self) -> PathBuf {
        self.root.join("token.key")
    }

    fn session_path(&self) -> PathBuf {
        self.root.join("session.key")
    }

    fn gateway_path(&self) -> PathBuf {
        self.root.join("gateway.key")
    }
}

fn load_secret(path: PathBuf) -> Result<Secret, KeysError> {
    let bytes = file::read(&path, Readers::Owner)?;
    bytes.map(Secret::new).ok_or(KeysError::Missing { path })
}

/// A public key whose file's name is its id.
fn read_public(path: &Path) -> Result<PublicKey, KeysError> {
    let bytes = file::read(path, Readers::Anybody)?;
    let key = bytes.map(PublicKey::new).ok_or_else(|| KeysError::Missing { path: path.into() })?;
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    if stem != Some(key.id().to_string().as_str()) {
        return Err(KeysError::Form { path: path.into() });
    }
    Ok(key)
}

fn hex_line(bytes: &[u8; 32]) -> zeroize::Zeroizing<String> {
    use std::fmt::Write;
    let mut line = zeroize::Zeroizing::new(String::with_capacity(65));
    for byte in bytes {
        // Writing to a string can't fail.
        let _ = write!(line, "{byte:02x}");
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests;
