/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Translation: a packet of one tuple becomes one of another, and its answers
 * the reverse. Two halves, made together, never changed, collected once the
 * judged flow has no conntrack entry any more.
 */
#pragma once

#include <linux/errno.h>

#include "conntrack.h"
#include "service.h"

/* New halves stand this long without an entry: a packet may still be on its way to be judged. */
#define NAT_GRACE 56			/* 60 s */
#define NAT_PORT_TRIES 128

static __always_inline bool is_loopback_source(const struct address *address)
{
	return (!address->high && address->low == LOOPBACK_V4_LOW) || (address->high == LOOPBACK_V6_HIGH && address->low == LOOPBACK_V6_LOW);
}

/* loopback_source - what a pod of @address' family sees itself as. */
static __always_inline void loopback_source(struct address *address)
{
	bool v4 = address_is_v4(address);

	address->high = v4 ? 0 : LOOPBACK_V6_HIGH;
	address->low = v4 ? LOOPBACK_V4_LOW : LOOPBACK_V6_LOW;
}

static __always_inline bool is_snat_port(__be16 port)
{
	return bpf_ntohs(port) >= SNAT_PORT_FIRST;
}

static __always_inline void nat_key_of(const struct tuple *tuple, struct nat_key *key)
{
	__builtin_memcpy(key->source, &tuple->source, 16);
	__builtin_memcpy(key->destination, &tuple->destination, 16);
	key->source_port = tuple->source_port;
	key->destination_port = tuple->destination_port;
	key->protocol = tuple->protocol;
	key->pad[0] = key->pad[1] = key->pad[2] = 0;
}

/* nat_key_reverse - of the packets that answer those which have become @entry's. */
static __always_inline void nat_key_reverse(const struct nat_entry *entry, __u8 protocol, struct nat_key *key)
{
	__builtin_memcpy(key->source, entry->destination, 16);
	__builtin_memcpy(key->destination, entry->source, 16);
	key->source_port = entry->destination_port;
	key->destination_port = entry->source_port;
	key->protocol = protocol;
	key->pad[0] = key->pad[1] = key->pad[2] = 0;
}

/* nat_copy - of an element of the table, which recycles them under its readers: the echo counts before and after. */
static __always_inline bool nat_copy(const struct nat_entry *entry, __u32 echo, struct nat_entry *copy)
{
	if (*(const volatile __u32 *)&entry->echo != echo)
		return false;
	barrier();
	*copy = *entry;
	barrier();
	return *(const volatile __u32 *)&entry->echo == echo;
}

/* nat_read - a copy of one half. */
static __always_inline bool nat_read(const struct nat_key *key, struct nat_entry *copy)
{
	__u32 echo = echo_of(key, sizeof(*key));

#pragma unroll
	for (int try = 0; try < 2; try++) {
		struct nat_entry *entry = bpf_map_lookup_elem(&sn_nat_01, key);

		if (entry && nat_copy(entry, echo, copy))
			return true;
	}
	return false;
}

/* nat_known - whether packets of this tuple become others. A global function, for the stack. */
__noinline int nat_known(const struct tuple *tuple)
{
	struct nat_entry entry;
	struct nat_key key;

	if (!tuple)
		return 0;
	nat_key_of(tuple, &key);
	return nat_read(&key, &entry);
}

/* nat_is_source - of a flow that this node is the source of; any other half is a Service's, and its judgement another's. */
static __always_inline bool nat_is_source(const struct nat_entry *entry)
{
	return (entry->flags & (NAT_FORWARD | NAT_SOURCE)) == (NAT_FORWARD | NAT_SOURCE);
}

/* nat_sources - this node is the source of what becomes of this tuple. A global function, for the stack. */
__noinline int nat_sources(const struct tuple *tuple)
{
	struct nat_entry entry = {};
	struct nat_key key;

	if (!tuple)
		return 0;
	nat_key_of(tuple, &key);
	return nat_read(&key, &entry) && nat_is_source(&entry);
}

/*
 * nat_answers - the middle of a stream whose entry is gone, from the backend that it was translated to: it answers, whichever
 * side speaks first again, and gets its frontend back. A global function, for the stack.
 */
__noinline int nat_answers(const struct tuple *tuple)
{
	struct nat_entry entry = {};
	struct nat_key key;

	if (!tuple || tuple->protocol != IPPROTO_TCP || (tuple->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return 0;
	nat_key_of(tuple, &key);
	return nat_read(&key, &entry) && !(entry.flags & (NAT_FORWARD | NAT_SOURCE));
}

/* nat_key_turn - of the packets that answer @key's. */
static __always_inline void nat_key_turn(struct nat_key *key)
{
	__be16 port = key->source_port;
	__u8 address[16];

	__builtin_memcpy(address, key->source, 16);
	__builtin_memcpy(key->source, key->destination, 16);
	__builtin_memcpy(key->destination, address, 16);
	key->source_port = key->destination_port;
	key->destination_port = port;
}

/* nat_known_back - as above, of what would answer a packet: an ICMP error about it goes that way. */
__noinline int nat_known_back(const struct tuple *tuple)
{
	struct nat_entry entry;
	struct nat_key key;

	if (!tuple)
		return 0;
	nat_key_of(tuple, &key);
	nat_key_turn(&key);
	return nat_read(&key, &entry);
}

static __always_inline void nat_answer_of(const struct nat_key *key, const struct nat_entry *forward, struct nat_entry *answer)
{
	*answer = *forward;
	__builtin_memcpy(answer->source, key->destination, 16);
	__builtin_memcpy(answer->destination, key->source, 16);
	answer->source_port = key->destination_port;
	answer->destination_port = key->source_port;
	answer->flags &= ~NAT_FORWARD;
}

/*
 * nat_put - both halves, the answers' first: it is what may be another's already.
 * @key: of the packets that begin; @forward: what they become; gets its echo
 * A global function, for the stack. Return: 0, or the drop reason: NO_MAPPING where the answers are another translation's.
 */
__noinline int nat_put(const struct nat_key *key, struct nat_entry *forward)
{
	struct nat_entry answer;
	struct nat_key back;
	long error;

	if (!key || !forward)
		return REASON_MAP_INSERT;
	forward->echo = echo_of(key, sizeof(*key));
	nat_key_reverse(forward, key->protocol, &back);
	nat_answer_of(key, forward, &answer);
	answer.echo = echo_of(&back, sizeof(back));
	error = bpf_map_update_elem(&sn_nat_01, &back, &answer, BPF_NOEXIST);
	if (error)
		return error == -EEXIST ? REASON_NO_MAPPING : REASON_MAP_INSERT;
	if (!bpf_map_update_elem(&sn_nat_01, key, forward, BPF_ANY))
		return 0;
	bpf_map_delete_elem(&sn_nat_01, &back);
	return REASON_MAP_INSERT;
}

/* nat_delete - both halves of a translation that is over. */
static __always_inline void nat_delete(const struct nat_key *key, const struct nat_entry *forward)
{
	struct nat_key back;

	nat_key_reverse(forward, key->protocol, &back);
	bpf_map_delete_elem(&sn_nat_01, key);
	bpf_map_delete_elem(&sn_nat_01, &back);
}

/* --- rewriting ------------------------------------------------------------------- */

/* check_offset - of the transport's checksum, from its header; 0 = it has none that covers addresses or ports. */
static __always_inline __u32 check_offset(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return __builtin_offsetof(struct tcphdr, check);
	case IPPROTO_UDP:
		return __builtin_offsetof(struct udphdr, check);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return __builtin_offsetof(struct icmp_echo_header, checksum);
	default:
		return 0;
	}
}

/* port_offset - where the transport's header has the side's port; an echo has one id for both. */
static __always_inline __u32 port_offset(__u8 protocol, bool source)
{
	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
		return __builtin_offsetof(struct icmp_echo_header, id);
	return source ? 0 : 2;
}

/*
 * nat_side - another address and port for one side of the packet, checksums kept by the helpers (RFC 1624).
 * Of a later fragment only the address: its first carries the rest. SCTP's CRC covers no address, and its ports never change.
 * A global function: the verifier proves it once. Return: 0, or -1 when the packet could not be written.
 */
__noinline int nat_side(struct __sk_buff *skb, struct packet *packet, const struct address *to, __be16 port, bool source)
{
	struct address from;
	__u32 check, offset, flags;
	__be16 old_port;
	__s64 sum;

	if (!packet || !to)
		return -1;
	from = source ? packet->tuple.source : packet->tuple.destination;
	old_port = source ? packet->tuple.source_port : packet->tuple.destination_port;
	check = packet->fragment == LATER_FRAGMENT ? 0 : check_offset(packet->tuple.protocol);
	flags = packet->tuple.protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	/* The mapped prefix is the same in both, so this is IPv4's sum as well. */
	sum = bpf_csum_diff((__be32 *)&from, sizeof(from), (__be32 *)to, sizeof(*to), 0);
	if (sum < 0)
		return -1;
	if (check && packet->tuple.protocol != IPPROTO_ICMP &&
	    bpf_l4_csum_replace(skb, packet->l4_offset + check, 0, sum, BPF_F_PSEUDO_HDR | flags))
		return -1;
	if (packet->v6) {
		offset = ETH_HLEN + (source ? __builtin_offsetof(struct ipv6hdr, saddr) : __builtin_offsetof(struct ipv6hdr, daddr));
		if (bpf_skb_store_bytes(skb, offset, to, 16, 0))
			return -1;
	} else {
		__be32 v4 = to->low >> 32;

		offset = ETH_HLEN + (source ? __builtin_offsetof(struct iphdr, saddr) : __builtin_offsetof(struct iphdr, daddr));
		if (bpf_l3_csum_replace(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, check), 0, sum, 0) ||
		    bpf_skb_store_bytes(skb, offset, &v4, sizeof(v4), 0))
			return -1;
	}
	if (source)
		packet->tuple.source = *to;
	else
		packet->tuple.destination = *to;
	if (port == old_port || packet->fragment == LATER_FRAGMENT)
		return 0;
	if (!check)
		return -1;
	if (bpf_l4_csum_replace(skb, packet->l4_offset + check, old_port, port, sizeof(port) | flags) ||
	    bpf_skb_store_bytes(skb, packet->l4_offset + port_offset(packet->tuple.protocol, source), &port, sizeof(port), 0))
		return -1;
	/* An echo's id stands for both. */
	if (source || packet->icmp_echo)
		packet->tuple.source_port = port;
	if (!source || packet->icmp_echo)
		packet->tuple.destination_port = port;
	return 0;
}

/* nat_apply - the packet becomes @entry's. Return: 0, or -1 when it could not be written. */
static __always_inline int nat_apply(struct __sk_buff *skb, struct packet *packet, const struct nat_entry *entry)
{
	struct address to;

	__builtin_memcpy(&to, entry->source, 16);
	if ((!address_equal(&to, &packet->tuple.source) || entry->source_port != packet->tuple.source_port) &&
	    nat_side(skb, packet, &to, entry->source_port, true))
		return -1;
	__builtin_memcpy(&to, entry->destination, 16);
	if ((!address_equal(&to, &packet->tuple.destination) || entry->destination_port != packet->tuple.destination_port) &&
	    nat_side(skb, packet, &to, entry->destination_port, false))
		return -1;
	return 0;
}

/*
 * nat_inner - another address and port for one side of the packet that an ICMP error holds. IPv4's header keeps its own
 * sum, so the error's sum stays; the inner transport's is left as it is: nobody can check it over a part.
 * A global function, for the stack. Return: 0, or -1 when the packet could not be written.
 */
__noinline int nat_inner(struct __sk_buff *skb, const struct packet *outer, struct packet *inner, const struct address *to, __be16 port)
{
	__u32 header, check, offset;
	bool source;
	__be16 old;
	__s64 sum;

	if (!outer || !inner || !to)
		return -1;
	/* inner->ttl is not needed any more: it says which side is meant. */
	source = inner->ttl;
	header = outer->l4_offset + 8;
	check = outer->l4_offset + __builtin_offsetof(struct icmp_echo_header, checksum);
	sum = bpf_csum_diff((__be32 *)(source ? &inner->tuple.source : &inner->tuple.destination), 16, (__be32 *)to, 16, 0);
	if (sum < 0)
		return -1;
	if (outer->v6) {
		offset = header + (source ? __builtin_offsetof(struct ipv6hdr, saddr) : __builtin_offsetof(struct ipv6hdr, daddr));
		if (bpf_skb_store_bytes(skb, offset, to, 16, 0) || bpf_l4_csum_replace(skb, check, 0, sum, 0))
			return -1;
	} else {
		__be32 v4 = to->low >> 32;

		offset = header + (source ? __builtin_offsetof(struct iphdr, saddr) : __builtin_offsetof(struct iphdr, daddr));
		if (bpf_skb_store_bytes(skb, offset, &v4, sizeof(v4), 0) ||
		    bpf_l3_csum_replace(skb, header + __builtin_offsetof(struct iphdr, check), 0, sum, 0))
			return -1;
	}
	old = source ? inner->tuple.source_port : inner->tuple.destination_port;
	if (old == port || (inner->icmp_echo && !source))
		return 0;
	if (bpf_skb_store_bytes(skb, inner->l4_offset + port_offset(inner->tuple.protocol, source), &port, sizeof(port), 0) ||
	    bpf_l4_csum_replace(skb, check, old, port, sizeof(port)))
		return -1;
	return 0;
}

/*
 * nat_error - an ICMP error about a translated packet becomes one about the packet that its receiver knows: as what
 * answers that packet is translated, so is the error, inside and out.
 * A global function, for the stack. Return: the translation's flags, or -1 when there is none or the packet could not be written.
 */
__noinline int nat_error(struct __sk_buff *skb, struct packet *packet)
{
	struct packet inner = {};
	struct nat_entry entry;
	struct address to, from;
	struct nat_key key;

	if (!packet)
		return -1;
	inner.v6 = packet->v6;
	if (parse_ip(skb, &inner, packet->l4_offset + 8, true))
		return -1;
	nat_key_of(&inner.tuple, &key);
	nat_key_turn(&key);
	if (!nat_read(&key, &entry))
		return -1;
	from = inner.tuple.destination;
	__builtin_memcpy(&to, entry.source, 16);
	if (address_equal(&packet->tuple.source, &from) && nat_side(skb, packet, &to, packet->tuple.source_port, true))
		return -1;
	inner.ttl = 0;
	if (nat_inner(skb, packet, &inner, &to, entry.source_port))
		return -1;
	__builtin_memcpy(&to, entry.destination, 16);
	if (nat_side(skb, packet, &to, packet->tuple.destination_port, false))
		return -1;
	inner.ttl = 1;
	return nat_inner(skb, packet, &inner, &to, entry.destination_port) ? -1 : (int)entry.flags;
}
