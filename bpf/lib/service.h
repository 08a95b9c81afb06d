/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Frontends: what clients use of a Service. Backends: who serves it. */
#pragma once

#include "address.h"

static __always_inline bool frontend_read(const struct frontend_key *key, struct frontend *frontend)
{
	__u32 echo = echo_of(key, sizeof(*key));

#pragma unroll
	for (int try = 0; try < ECHO_TRIES; try++) {
		struct frontend *value = bpf_map_lookup_elem(&sn_frontend_02, key);
		__u64 word;

		if (!value)
			continue;
		word = READ_ONCE64(*value);
		barrier();
		frontend->slots_high = value->slots_high;
		frontend->count = value->count;
		frontend->revnat = value->revnat;
		frontend->affinity = value->affinity;
		frontend->flags = value->flags;
		barrier();
		if (READ_ONCE64(*value) == word && word_of(word, echo, &frontend->slots))
			return true;
	}
	return false;
}

/*
 * frontend_find - the frontend that a client means by @key: that very address, or a node port at one of this node's
 * own addresses. @key: gets the key under which it stands; its scope says from where the client comes.
 * A global function: the verifier proves it once. Return: 1, or 0 when the address and port are no frontend.
 */
__noinline int frontend_find(struct frontend_key *key, struct frontend *frontend)
{
	struct party party = {};
	struct address address;
	__u8 scope;

	if (!key || !frontend)
		return 0;
	scope = key->scope;
	key->scope = SCOPE_INSIDE;
	if (!frontend_read(key, frontend)) {
		__builtin_memcpy(&address, key->address, 16);
		__builtin_memset(key->address, 0, 16);
		if (address_is_v4(&address)) {
			key->address[10] = 0xff;
			key->address[11] = 0xff;
		}
		if (!frontend_read(key, frontend) || !ipcache_read(&address, &party) || party.ifindex != IFINDEX_HOST)
			return 0;
	}
	if (scope == SCOPE_OUTSIDE && (frontend->flags & FRONTEND_SPLIT)) {
		key->scope = scope;
		return frontend_read(key, frontend);
	}
	return 1;
}

/* A backend that was drawn. */
struct choice {
	__u32 id;
	struct address address;
	__be16 port;
	__u16 pad;
};

/* backend_read - a backend is immutable, so what is found under its id is it. Return: false: it is gone. */
static __always_inline bool backend_read(__u32 id, struct choice *choice)
{
	struct backend *backend = bpf_map_lookup_elem(&sn_backend_01, &id);

	if (!backend)
		return false;
	choice->id = id;
	__builtin_memcpy(&choice->address, backend->address, 16);
	choice->port = backend->port;
	return true;
}

/* affinity_read - the backend that this client had less than the frontend's time ago, while it still is one of those to draw from. */
static __always_inline bool affinity_read(const struct frontend *frontend, const struct affinity_key *key, __u32 now, struct choice *choice)
{
	struct affinity *known = bpf_map_lookup_elem(&sn_affinity_01, key);
	struct backend_slot_key member = { .slots = frontend->slots, .slots_high = frontend->slots_high };
	__u32 backend;

	if (!known || !word_of(READ_ONCE64(*known), echo_of(key, sizeof(*key)), &backend) || known->used + frontend->affinity <= now)
		return false;
	member.index = SLOT_MEMBER | backend;
	return bpf_map_lookup_elem(&sn_slot_02, &member) && backend_read(backend, choice);
}

static __always_inline void affinity_keep(const struct affinity_key *key, __u32 backend, __u32 now)
{
	struct affinity kept = { .backend = backend, .echo = echo_of(key, sizeof(*key)), .used = now };

	bpf_map_update_elem(&sn_affinity_01, key, &kept, BPF_ANY);
}

/*
 * backend_draw - one of the frontend's backends. Slot sets are immutable, so a slot that is not there means that the
 * frontend has a newer set: it is read again, once.
 * @client: who asks, for affinity
 * @draw: any number; equal ones draw the same from the same set
 *
 * A global function, as above. Return: 1, or 0 when none serves.
 */
__noinline int backend_draw(const struct frontend_key *key, struct frontend *frontend, const struct address *client, __u32 draw, struct choice *choice)
{
	struct affinity_key affinity = {};
	__u32 now = bpf_ktime_get_coarse_ns() >> 30;

	if (!key || !frontend || !client || !choice)
		return 0;
	if (frontend->affinity) {
		__builtin_memcpy(affinity.client, client, 16);
		affinity.revnat = frontend->revnat;
		if (affinity_read(frontend, &affinity, now, choice)) {
			affinity_keep(&affinity, choice->id, now);
			return 1;
		}
	}
	for (int try = 0; try < 2; try++) {
		struct backend_slot_key slot = { .slots = frontend->slots, .slots_high = frontend->slots_high };
		__u32 *id;

		if (!frontend->count)
			return 0;
		slot.index = draw % frontend->count;
		id = bpf_map_lookup_elem(&sn_slot_02, &slot);
		if (id && backend_read(*id, choice)) {
			if (frontend->affinity)
				affinity_keep(&affinity, choice->id, now);
			return 1;
		}
		if (!frontend_read(key, frontend))
			return 0;
	}
	return 0;
}
