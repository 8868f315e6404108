//! Handles: generational keys of a registry, never addresses.
//!
//! A key is odd, at least 4096 and below 2^38 (64 bit), so that no garbage collector takes it for a pointer. A slot's
//! generation grows with each use and a spent slot is retired, so a stale key never finds another object. On 32 bit the
//! generation is short and stale detection is best effort.

use std::collections::VecDeque;

use crate::session::{Failure, status};

use super::global::Object;

#[cfg(target_pointer_width = "64")]
const INDEX_BITS: u32 = 22;
#[cfg(target_pointer_width = "64")]
const GENERATION_BITS: u32 = 15;
#[cfg(not(target_pointer_width = "64"))]
const INDEX_BITS: u32 = 18;
#[cfg(not(target_pointer_width = "64"))]
const GENERATION_BITS: u32 = 13;

/// Makes the smallest key 4097.
const FIRST_INDEX: u64 = 2048;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const LAST_GENERATION: u32 = (1 << GENERATION_BITS) - 1;
/// A freed slot rests until so many others are free, which spreads the generations.
const RESTING: usize = 64;
/// So many stale keys are not worth a pass.
const KEPT_STALE: usize = 8;

struct Slot {
    generation: u32,
    object: Option<Object>,
    /// The client, and for a channel's subscription the channel: with them it goes stale.
    owners: [u64; 2],
    /// What goes stale with it. Keys that went stale before stay until they are more than half.
    owned: Vec<u64>,
    /// The live ones of these.
    live: usize,
}

/// All live handles.
#[derive(Default)]
pub struct Registry {
    slots: Vec<Slot>,
    free: VecDeque<usize>,
}

fn key_of(index: usize, generation: u32) -> u64 {
    let index = index as u64 + FIRST_INDEX;
    (((u64::from(generation) << INDEX_BITS) | index) << 1) | 1
}

fn place_of(key: u64) -> Option<(usize, u32)> {
    if key & 1 == 0 || key >> (1 + INDEX_BITS + GENERATION_BITS) != 0 {
        return None;
    }
    let index = ((key >> 1) & INDEX_MASK).checked_sub(FIRST_INDEX)?;
    Some((usize::try_from(index).ok()?, (key >> (1 + INDEX_BITS)) as u32))
}

impl Registry {
    /// Registers what `make` makes from its key. `owners`: keys with which it goes stale, 0 = none.
    pub fn insert(&mut self, owners: [u64; 2], make: impl FnOnce(u64) -> Object) -> Result<u64, Failure> {
        let (index, key) = self.reserve(owners)?;
        let object = make(key);
        self.occupy(index, key, owners, object);
        Ok(key)
    }

    #[inline(never)]
    fn reserve(&mut self, owners: [u64; 2]) -> Result<(usize, u64), Failure> {
        if owners.iter().any(|owner| *owner != 0 && self.get(*owner).is_none()) {
            return Err(Failure::new(status::CLOSED, "freed meanwhile"));
        }
        let full = self.slots.len() as u64 >= INDEX_MASK - FIRST_INDEX;
        let rested = self.free.len() > RESTING || full;
        let index = match self.free.front().copied().filter(|_| rested) {
            Some(index) => index,
            None if full => return Err(Failure::new(status::NO_MEMORY, "too many handles are alive")),
            None => {
                // Taken back by `occupy`; a `make` that panics leaves it free.
                self.slots.push(Slot {
                    generation: 0,
                    object: None,
                    owners: [0; 2],
                    owned: Vec::new(),
                    live: 0,
                });
                self.free.push_front(self.slots.len() - 1);
                self.slots.len() - 1
            }
        };
        Ok((index, key_of(index, self.slots[index].generation)))
    }

    #[inline(never)]
    fn occupy(&mut self, index: usize, key: u64, owners: [u64; 2], object: Object) {
        self.free.pop_front();
        let slot = &mut self.slots[index];
        slot.object = Some(object);
        slot.owners = owners;
        for owner in owners {
            if let Some(owner) = self.slot_mut(owner) {
                owner.owned.push(key);
                owner.live += 1;
            }
        }
    }

    fn slot_mut(&mut self, key: u64) -> Option<&mut Slot> {
        let (index, generation) = place_of(key)?;
        self.slots
            .get_mut(index)
            .filter(|slot| slot.generation == generation && slot.object.is_some())
    }

    /// One that `owner` owned went stale.
    fn disown(&mut self, owner: u64) {
        let Some(slot) = self.slot_mut(owner) else { return };
        slot.live = slot.live.saturating_sub(1);
        if slot.owned.len() <= 2 * slot.live + KEPT_STALE {
            return;
        }
        let mut owned = std::mem::take(&mut slot.owned);
        owned.retain(|&key| self.is_owned(key, owner));
        if let Some(slot) = self.slot_mut(owner) {
            slot.owned = owned;
        }
    }

    /// Where generations are short, a stale key may have become somebody else's.
    fn is_owned(&self, key: u64, owner: u64) -> bool {
        place_of(key)
            .and_then(|(index, generation)| Some((self.slots.get(index)?, generation)))
            .is_some_and(|(slot, generation)| slot.generation == generation && slot.owners.contains(&owner))
    }

    /// The object of a live key.
    pub fn get(&self, key: u64) -> Option<&Object> {
        let (index, generation) = place_of(key)?;
        let slot = self.slots.get(index)?;
        if slot.generation == generation {
            slot.object.as_ref()
        } else {
            None
        }
    }

    /// Takes a live key's object out if `is_right`; the key is stale from now on, and so are the keys that it owns.
    pub fn remove(&mut self, key: u64, is_right: fn(&Object) -> bool) -> Option<(Object, Vec<Object>)> {
        self.get(key).filter(|object| is_right(object))?;
        let owned = std::mem::take(&mut self.slot_mut(key)?.owned);
        let owned = owned
            .into_iter()
            .filter(|&owned| self.is_owned(owned, key))
            .collect::<Vec<_>>();
        let object = self.take(key)?;
        let owned = owned.into_iter().filter_map(|key| self.take(key)).collect();
        Some((object, owned))
    }

    /// Takes everything out; all keys are stale.
    pub fn clear(&mut self) -> Vec<Object> {
        let keys: Vec<u64> = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.object.is_some())
            .map(|(index, slot)| key_of(index, slot.generation))
            .collect();
        keys.into_iter().filter_map(|key| self.take(key)).collect()
    }

    #[inline(never)]
    fn take(&mut self, key: u64) -> Option<Object> {
        let (index, generation) = place_of(key)?;
        let slot = self.slots.get_mut(index)?;
        if slot.generation != generation {
            return None;
        }
        let object = slot.object.take()?;
        let owners = std::mem::take(&mut slot.owners);
        slot.owned = Vec::new();
        slot.live = 0;
        if slot.generation < LAST_GENERATION {
            slot.generation += 1;
            self.free.push_back(index);
        } else if cfg!(not(target_pointer_width = "64")) {
            // Too few keys to retire slots for good.
            slot.generation = 0;
            self.free.push_back(index);
        } else {
            // No key of this slot may come back.
            slot.generation = u32::MAX;
        }
        owners.into_iter().for_each(|owner| self.disown(owner));
        Some(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn object(_: u64) -> Object {
        Object::Options(std::sync::Arc::default())
    }

    #[test]
    fn keys_look_like_no_address_and_never_come_back() {
        let mut registry = Registry::default();
        let mut seen = HashSet::new();
        for _ in 0..200_000 {
            let key = registry.insert([0; 2], object).unwrap();
            assert!(key & 1 == 1 && (4096..1 << 38).contains(&key), "{key:#x}");
            assert!(seen.insert(key), "{key:#x} came back");
            assert!(registry.get(key).is_some());
            assert!(registry.remove(key, |_| true).is_some());
            assert!(registry.get(key).is_none());
            assert!(registry.remove(key, |_| true).is_none());
        }
        assert!(registry.slots.len() < 200, "slots are used again");
    }

    #[test]
    fn a_spent_slot_is_retired() {
        let mut registry = Registry::default();
        let key = registry.insert([0; 2], object).unwrap();
        registry.slots[0].generation = LAST_GENERATION;
        let last = key_of(0, LAST_GENERATION);
        assert!(registry.get(key).is_none());
        assert!(registry.remove(last, |_| true).is_some());
        assert!(registry.get(last).is_none() && registry.get(key).is_none());
        assert!(registry.free.is_empty());
    }

    #[test]
    fn nonsense_is_not_found() {
        let registry = Registry::default();
        for key in [0, 1, 2, 4095, 4096, 4097, 1 << 38, u64::MAX, u64::MAX - 1] {
            assert!(registry.get(key).is_none());
        }
    }

    #[test]
    fn what_is_owned_goes_stale_with_its_owner() {
        let mut registry = Registry::default();
        let client = registry.insert([0; 2], object).unwrap();
        let channel = registry.insert([client, 0], object).unwrap();
        let on_channel = registry.insert([client, channel], object).unwrap();
        let on_client = registry.insert([client, 0], object).unwrap();
        let (_, gone) = registry.remove(channel, |_| true).unwrap();
        assert_eq!(gone.len(), 1);
        assert!(registry.get(on_channel).is_none() && registry.get(on_client).is_some());
        let (_, gone) = registry.remove(client, |_| true).unwrap();
        assert_eq!(gone.len(), 1);
        assert!(registry.get(on_client).is_none());
        assert!(
            registry
                .slots
                .iter()
                .all(|slot| slot.owned.is_empty() && slot.live == 0)
        );
    }

    #[test]
    fn what_went_stale_is_forgotten_by_its_owner() {
        let mut registry = Registry::default();
        let client = registry.insert([0; 2], object).unwrap();
        let kept: Vec<u64> = (0..10).map(|_| registry.insert([client, 0], object).unwrap()).collect();
        for _ in 0..10_000 {
            let passing = registry.insert([client, kept[0]], object).unwrap();
            assert!(registry.remove(passing, |_| true).is_some());
            for owner in [client, kept[0]] {
                let slot = registry.slot_mut(owner).unwrap();
                assert!(slot.owned.len() <= 2 * slot.live + KEPT_STALE + 1);
            }
        }
        let (_, gone) = registry.remove(client, |_| true).unwrap();
        assert_eq!(gone.len(), kept.len());
        assert!(kept.iter().all(|key| registry.get(*key).is_none()));
    }
}
