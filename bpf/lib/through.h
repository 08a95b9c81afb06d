/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What goes through this node from a client outside to a backend elsewhere, or back, by a flow that was judged and translated: recognised
 * by what the slow path left, and rewritten in one step. At XDP (xdp.bpf.c) and at tc (service.bpf.c).
 */
#pragma once

#include "forward.h"
#include "nat.h"
#include "policy.h"

/* The words of struct nat_key and struct nat_entry that are the same in both: addresses, then ports. */
#define ADDRESS_WORDS 8
#define TUPLE_WORDS 9

/* A packet as far as it is understood here: whole, without options, of TCP or UDP. */
struct early {
	struct nat_key key;
	__u32 length;			/* of the IP packet */
	__u8 ttl;
	__u8 tos;			/* IPv4 only */
	__u8 tcp_flags;
};

static __always_inline __u64 sum_of(const void *from, const int first, const int last)
{
	const __u32 *words = from;
	__u64 sum = 0;

#pragma unroll
	for (int i = first; i < last; i++)
		sum += words[i];
	return sum;
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return sum;
}

/* sum_replace - @check once @old has become @new among what it covers (RFC 1624). */
static __always_inline __u16 sum_replace(__u16 check, __u64 old, __u64 new)
{
	return ~fold((__u64)(__u16)~check + (__u16)~fold(old) + new);
}

static __always_inline void address_bytes(__u8 *to, __be32 v4)
{
	struct address address;

	address_from_v4(&address, v4);
	__builtin_memcpy(to, &address, 16);
}

/* read_ipv4 - Return: whether the header is one of @early's kind. */
static __always_inline bool read_ipv4(const struct iphdr *ip, struct early *early)
{
	if (ip->version != 4 || ip->ihl != 5 || (ip->frag_off & bpf_htons(IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET)))
		return false;
	address_bytes(early->key.source, ip->saddr);
	address_bytes(early->key.destination, ip->daddr);
	early->key.protocol = ip->protocol;
	early->length = bpf_ntohs(ip->tot_len);
	early->ttl = ip->ttl;
	early->tos = ip->tos;
	return true;
}

static __always_inline bool read_ipv6(const struct ipv6hdr *ip, struct early *early)
{
	struct address source;

	if (ip->version != 6)
		return false;
	__builtin_memcpy(early->key.source, &ip->saddr, 16);
	__builtin_memcpy(early->key.destination, &ip->daddr, 16);
	__builtin_memcpy(&source, early->key.source, 16);
	/* On the wire a mapped address would be an IPv4 flow's. */
	if (address_is_v4(&source))
		return false;
	early->key.protocol = ip->nexthdr;
	early->length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	early->ttl = ip->hop_limit;
	return true;
}

/* half_read - one half, tried once: what is missed is tc's. */
static __always_inline bool half_read(const struct nat_key *key, struct nat_entry *copy)
{
	struct nat_entry *entry = bpf_map_lookup_elem(&sn_nat_01, key);

	return entry && nat_copy(entry, echo_of(key, sizeof(*key)), copy);
}

/* key_of - of the packets that have become @entry's. */
static __always_inline void key_of(const struct nat_entry *entry, __u8 protocol, struct nat_key *key)
{
	__builtin_memset(key, 0, sizeof(*key));
	__builtin_memcpy(key, entry, TUPLE_WORDS * 4);
	key->protocol = protocol;
}

static __always_inline bool is_frontend_of(const struct frontend_key *key, __u32 revnat)
{
	struct frontend *frontend = bpf_map_lookup_elem(&sn_frontend_02, key);

	/* Whoever comes from outside may have a row of his own, with backends of this node alone: that is tc's. */
	return frontend && frontend->revnat == revnat && !(frontend->flags & FRONTEND_SPLIT);
}

/*
 * frontend_stands - the flow's Service is still there, as this client sees it; tc ends a stream whose Service is gone, and draws anew for
 * a datagram whose backend is.
 */
static __always_inline bool frontend_stands(const struct nat_key *key, const struct nat_entry *request, const bool v6)
{
	struct frontend_key frontend = { .port = key->destination_port, .protocol = key->protocol };
	__u32 backend = request->backend;

	if (!v6)
		frontend.address[10] = frontend.address[11] = 0xff;
	if (!is_frontend_of(&frontend, request->revnat)) {
		__builtin_memcpy(frontend.address, key->destination, 16);
		if (!is_frontend_of(&frontend, request->revnat))
			return false;
	}
	return key->protocol != IPPROTO_UDP || bpf_map_lookup_elem(&sn_backend_01, &backend);
}

/*
 * flow_vouches - this flow was judged under the current epoch, its responder is a backend elsewhere, and this packet changes nothing in
 * its entry but the lifetime.
 * @judged: the packet as it was judged; @request: from the client
 * Return: the entry itself, or NULL. @expiry: gets what its lifetime is now, and @age how long ago it was written
 */
static __always_inline struct ct_entry *flow_vouches(const struct nat_key *judged, const struct early *early, bool request, __u32 epoch,
						     __u32 *expiry, __u32 *age)
{
	struct ct_key key __attribute__((aligned(8)));
	__u32 now = ct_now();
	struct ct_entry *live;
	struct ct_entry entry;
	struct tuple tuple;
	bool source_is_a, backend_is_a;

	__builtin_memcpy(&tuple, judged, TUPLE_WORDS * 4);
	tuple.protocol = judged->protocol;
	source_is_a = ct_key_of(&tuple, &key);
	backend_is_a = source_is_a != request;
	live = ct_read(&key, &entry, now);
	if (!epoch || !live || !ct_vouches(&entry, backend_is_a, 0, epoch))
		return NULL;
	if ((backend_is_a ? entry.ifindex_a : entry.ifindex_b) != IFINDEX_FORWARDED || backend_is_a == !!(entry.flags & CT_ORIGINATOR_A))
		return NULL;
	if (!(entry.flags & CT_TRANSLATED) || ct_closed(entry.flags) || ct_flags_after(entry.flags, source_is_a, early->tcp_flags) != entry.flags)
		return NULL;
	*expiry = now + ct_lifetime(judged->protocol, entry.flags);
	*age = *expiry - entry.expiry;
	return live;
}

/*
 * through_read - the packet at @ip, where it is whole, without options, of TCP or UDP, and says that a flow goes on.
 * @end: of the frame, as far as it is read directly. Return: its checksum, or NULL.
 */
static __always_inline __u16 *through_read(void *ip, void *end, struct early *early, const bool v6)
{
	const __u32 header = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	void *l4 = ip + header;
	__u32 covered;
	__u16 *check;

	if (l4 + sizeof(struct udphdr) > end || !(v6 ? read_ipv6(ip, early) : read_ipv4(ip, early)) || early->ttl <= 1)
		return NULL;
	if (early->key.protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = l4;

		if (l4 + sizeof(*tcp) > end)
			return NULL;
		early->tcp_flags = ((__u8 *)l4)[13];
		if (early->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST))
			return NULL;
		covered = sizeof(*tcp);
		check = &tcp->check;
	} else if (early->key.protocol == IPPROTO_UDP) {
		covered = sizeof(struct udphdr);
		check = &((struct udphdr *)l4)->check;
	} else {
		return NULL;
	}
	if (early->length < header + covered)
		return NULL;
	early->key.source_port = ((__be16 *)l4)[0];
	early->key.destination_port = ((__be16 *)l4)[1];
	/* A sum that the sender left to its device is that of the pseudo header alone: only the stack knows how to finish it. */
	if (*check == fold(sum_of(&early->key, 0, ADDRESS_WORDS) + bpf_htons(early->key.protocol) + bpf_htons(early->length - header)))
		return NULL;
	return check;
}

/*
 * through_find - what the packet becomes. @to: gets that. Return: the flow's own entry, or NULL: the slow path's.
 */
static __always_inline struct ct_entry *through_find(const struct early *early, struct nat_entry *to, __u32 *expiry, __u32 *age, const bool v6)
{
	__u32 epoch = epoch_now();
	struct nat_entry first;
	struct nat_key judged;
	struct ct_entry *live;
	bool request;

	if (!half_read(&early->key, &first))
		return NULL;
	request = first.flags & NAT_FORWARD;
	if ((first.flags & (NAT_FORWARD | NAT_SOURCE | NAT_DIRECT)) != (request ? NAT_FORWARD : NAT_SOURCE))
		return NULL;
	if (request && !frontend_stands(&early->key, &first, v6))
		return NULL;
	key_of(&first, early->key.protocol, &judged);
	live = flow_vouches(&judged, early, request, epoch, expiry, age);
	if (!live || !half_read(&judged, to) || (to->flags & (NAT_FORWARD | NAT_SOURCE)) != (request ? NAT_FORWARD | NAT_SOURCE : 0))
		return NULL;
	return live;
}

/* through_route - asks the kernel's own routes for what the packet becomes. @fib: its interface is set. Return: as bpf_fib_lookup. */
static __always_inline long through_route(void *ctx, const struct early *early, const struct nat_entry *to, struct bpf_fib_lookup *fib, const bool v6)
{
	fib->tot_len = early->length;
	fib->l4_protocol = early->key.protocol;
	fib->sport = to->source_port;
	fib->dport = to->destination_port;
	if (v6) {
		fib->family = AF_INET6;
		__builtin_memcpy(fib->ipv6_src, to->source, 16);
		__builtin_memcpy(fib->ipv6_dst, to->destination, 16);
	} else {
		fib->family = AF_INET;
		fib->tos = early->tos;
		__builtin_memcpy(&fib->ipv4_src, to->source + 12, 4);
		__builtin_memcpy(&fib->ipv4_dst, to->destination + 12, 4);
	}
	return bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
}

/* through_write - the packet becomes @to's, one hop further. @check: the transport's */
static __always_inline void through_write(void *ip, __u16 *check, const struct early *early, const struct nat_entry *to, const bool v6)
{
	__u64 before = sum_of(&early->key, 0, ADDRESS_WORDS), after = sum_of(to, 0, ADDRESS_WORDS);
	__be16 *ports = ip + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));

	if (early->key.protocol == IPPROTO_TCP || *check) {
		*check = sum_replace(*check, before + sum_of(&early->key, ADDRESS_WORDS, TUPLE_WORDS), after + sum_of(to, ADDRESS_WORDS, TUPLE_WORDS));
		if (early->key.protocol == IPPROTO_UDP && !*check)
			*check = 0xffff;
	}
	ports[0] = to->source_port;
	ports[1] = to->destination_port;
	if (v6) {
		struct ipv6hdr *ip6 = ip;

		__builtin_memcpy(&ip6->saddr, to->source, 16);
		__builtin_memcpy(&ip6->daddr, to->destination, 16);
		ip6->hop_limit--;
	} else {
		struct iphdr *ip4 = ip;
		__u16 hop = *(__u16 *)&ip4->ttl;

		__builtin_memcpy(&ip4->saddr, to->source + 12, 4);
		__builtin_memcpy(&ip4->daddr, to->destination + 12, 4);
		ip4->ttl--;
		ip4->check = sum_replace(ip4->check, before + hop, after + *(__u16 *)&ip4->ttl);
	}
}
