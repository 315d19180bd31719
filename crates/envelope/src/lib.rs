#![doc = include_str!("../README.md")]

mod compression;
mod data_key;
mod deciders;
mod folder;
mod key;
mod limits;
mod opener;
mod own;
mod refused;
mod sealer;
mod secret;
mod signed;
mod stage;

pub use deciders::Deciders;
pub use folder::{KeysError, KeysFolder, OpeningKeys, SealingKeys, Written};
pub use key::{KeyId, KeyIdError, PrivateKey, PublicKey};
pub use limits::CLEAR_MAX_BYTES;
pub use opener::{KnownSender, OpenError, OpenedEvent, Opener};
pub use own::{OwnError, OwnSeal};
pub use refused::{RefusedError, RefusedEvent};
pub use sealer::{SealError, Sealer};
pub use secret::{NoChance, Secret};
pub use signed::{SignedError, SigningKey, VerifyingKey, VerifyingKeys};
pub use stage::{Stage, UnknownStage};
