/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Parsing: from bytes to one struct that is the same for both families. */
#pragma once

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "echo.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* ICMP types that count here; the uapi headers would pull in the C library's. */
#define ICMP_ECHOREPLY 0
#define ICMP_DEST_UNREACH 3
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
#define ICMPV6_ECHO_REQUEST 128
#define ICMPV6_ECHO_REPLY 129
#define ICMPV6_MLD_QUERY 130
#define ICMPV6_REDIRECT 137
#define ICMPV6_MLD2_REPORT 143

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_FRAGMENT_OFFSET 0xfff8
#define IPV6_EXTENSIONS_MAX 6

/* Type and length of what lib/direct.h puts behind the IP header, first of all that stands there. */
#define DIRECT_V4_HEAD 0x9a08
#define DIRECT_V6_HEAD 0x1b14
#define DIRECT_V6_LENGTH 2		/* of the extension header, of 8 bytes, without the first 8 */

/* One direction of a flow, as policy and conntrack see it. */
struct tuple {
	struct address source;
	struct address destination;
	__be16 source_port;		/* ICMP echo: the id, both ports */
	__be16 destination_port;
	__be16 policy_port;		/* destination port; ICMP: type, code */
	__u8 protocol;
	__u8 tcp_flags;
};

enum fragment_part {
	WHOLE,
	FIRST_FRAGMENT,
	LATER_FRAGMENT,
};

struct packet {
	struct tuple tuple;
	__u32 l4_offset;
	__be32 fragment_id;
	__u8 fragment;			/* enum fragment_part */
	bool v6;
	__u8 ttl;			/* or hop limit */
	bool icmp_error;		/* an error: the inner packet's flow decides */
	bool icmp_other;		/* neither request nor error: may belong to a flow, never begins one */
	bool icmp_echo;			/* request or reply */
	bool link_local : 1;		/* neighbour discovery, router solicitation, MLD: stays on the link */
	bool direct : 1;		/* says which frontend its client asked another node for; shares a byte: stacks are full */
	__u8 tos;			/* IPv4 only */
};

struct icmp_echo_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 id;
};

struct ipv6_extension {
	__u8 next;
	__u8 length;			/* of 8 bytes, without the first 8; fragment header: reserved */
	__be16 fragment_offset;
	__be32 fragment_id;
};

/* Headers within this stand in the linear part, nearly always; the verifier wants a limit for what is read there. */
#define LINEAR_MAX 256

/* load - @size bytes at @offset. */
static __always_inline long load(struct __sk_buff *skb, __u32 offset, void *to, const __u32 size)
{
	if (offset < LINEAR_MAX) {
		void *from = (void *)(long)skb->data + offset;

		if (from + size <= (void *)(long)skb->data_end) {
			__builtin_memcpy(to, from, size);
			return 0;
		}
	}
	return bpf_skb_load_bytes(skb, offset, to, size);
}

static __always_inline void parse_icmp(struct packet *packet, const struct icmp_echo_header *icmp)
{
	struct tuple *tuple = &packet->tuple;
	bool request;

	if (tuple->protocol == IPPROTO_ICMP) {
		request = icmp->type == ICMP_ECHO;
		packet->icmp_echo = (request || icmp->type == ICMP_ECHOREPLY) && !icmp->code;
		packet->icmp_error = icmp->type == ICMP_DEST_UNREACH || icmp->type == ICMP_TIME_EXCEEDED ||
				     icmp->type == ICMP_PARAMETERPROB;
	} else {
		request = icmp->type == ICMPV6_ECHO_REQUEST;
		packet->icmp_echo = (request || icmp->type == ICMPV6_ECHO_REPLY) && !icmp->code;
		packet->icmp_error = icmp->type < ICMPV6_ECHO_REQUEST;
		packet->link_local = (icmp->type >= ICMPV6_MLD_QUERY && icmp->type <= ICMPV6_REDIRECT) ||
				     icmp->type == ICMPV6_MLD2_REPORT;
	}
	tuple->policy_port = bpf_htons(icmp->type << 8 | icmp->code);
	tuple->source_port = packet->icmp_echo ? icmp->id : 0;
	tuple->destination_port = tuple->source_port;
	packet->icmp_other = !packet->icmp_error && !(packet->icmp_echo && request);
}

/*
 * parse_l4 - ports of the packet at @packet->l4_offset.
 * @inner: the packet stands inside an ICMP error: 8 bytes of it suffice
 *
 * Return: 0, or the drop reason.
 */
static __always_inline int parse_l4(struct __sk_buff *skb, struct packet *packet, bool inner)
{
	struct tuple *tuple = &packet->tuple;
	__be16 ports[2];
	__u8 flags;

	switch (tuple->protocol) {
	case IPPROTO_TCP:
		if (!inner) {
			if (load(skb, packet->l4_offset + 13, &flags, 1))
				return REASON_CT_INVALID_HEADER;
			tuple->tcp_flags = flags;
		}
		/* fall through */
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		if (load(skb, packet->l4_offset, ports, sizeof(ports)))
			return REASON_CT_INVALID_HEADER;
		tuple->source_port = ports[0];
		tuple->destination_port = ports[1];
		tuple->policy_port = ports[1];
		return 0;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: {
		struct icmp_echo_header icmp;

		/* Each family has its own; the other's number would be asked of the wrong rules. */
		if ((tuple->protocol == IPPROTO_ICMPV6) != packet->v6)
			return REASON_CT_UNKNOWN_L4;
		if (load(skb, packet->l4_offset, &icmp, sizeof(icmp)))
			return REASON_CT_INVALID_HEADER;
		parse_icmp(packet, &icmp);
		return 0;
	}
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_DSTOPTS:
		/* Extensions deeper than they are read, or of the other family. */
		return REASON_CT_UNKNOWN_L4;
	default:
		/* A protocol without ports: a flow is its two addresses. */
		return 0;
	}
}

/* policy_port_from - the port that policy asks for, when only the tuple is known: a tracked ICMP flow is an echo. */
static __always_inline __be16 policy_port_from(__u8 protocol, __be16 port)
{
	if (protocol == IPPROTO_ICMP)
		return bpf_htons(ICMP_ECHO << 8);
	if (protocol == IPPROTO_ICMPV6)
		return bpf_htons(ICMPV6_ECHO_REQUEST << 8);
	return port;
}

static __always_inline void fragment_key_of(const struct __sk_buff *skb, const struct packet *packet, struct fragment_key *key)
{
	__builtin_memset(key, 0, sizeof(*key));
	__builtin_memcpy(key->source, &packet->tuple.source, 16);
	__builtin_memcpy(key->destination, &packet->tuple.destination, 16);
	key->id = packet->fragment_id;
	key->ifindex = skb->ifindex;
	key->protocol = packet->tuple.protocol;
}

/*
 * parse_fragment - lends a later fragment the ports of the first, and keeps the first's for those to come.
 * Out of line: few packets are fragments. Return: 0, or the drop reason.
 */
__noinline int parse_fragment(struct __sk_buff *skb, struct packet *packet)
{
	struct fragment_key key;
	struct fragment *known;
	struct fragment ports;
	struct tuple *tuple;
	__u64 word;

	if (!packet)
		return REASON_INVALID_PACKET;
	tuple = &packet->tuple;
	fragment_key_of(skb, packet, &key);
	if (packet->fragment == FIRST_FRAGMENT) {
		/* An ICMP message that is no echo has no ports to lend: its later fragments find nothing. */
		if ((tuple->protocol == IPPROTO_ICMP || tuple->protocol == IPPROTO_ICMPV6) && !packet->icmp_echo)
			return 0;
		ports.source_port = tuple->source_port;
		ports.destination_port = tuple->destination_port;
		ports.echo = echo_of(&key, sizeof(key));
		bpf_map_update_elem(&sn_fragment_01, &key, &ports, BPF_ANY);
		return 0;
	}
	known = bpf_map_lookup_elem(&sn_fragment_01, &key);
	if (!known)
		return REASON_FRAGMENT_NOT_FOUND;
	word = READ_ONCE64(*known);
	if ((__u32)(word >> 32) != echo_of(&key, sizeof(key)))
		return REASON_FRAGMENT_NOT_FOUND;
	tuple->source_port = (__be16)word;
	tuple->destination_port = (__be16)(word >> 16);
	tuple->policy_port = policy_port_from(tuple->protocol, tuple->destination_port);
	packet->icmp_echo = true;
	return 0;
}

/* parse_ipv4 - the header at @offset. Return: 0, or the drop reason. */
static __always_inline int parse_ipv4(struct __sk_buff *skb, struct packet *packet, __u32 offset)
{
	struct tuple *tuple = &packet->tuple;
	struct iphdr ip;

	if (load(skb, offset, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return REASON_INVALID_PACKET;
	address_from_v4(&tuple->source, ip.saddr);
	address_from_v4(&tuple->destination, ip.daddr);
	tuple->protocol = ip.protocol;
	packet->ttl = ip.ttl;
	packet->tos = ip.tos;
	packet->l4_offset = offset + ip.ihl * 4;
	if (ip.frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))
		packet->fragment = LATER_FRAGMENT;
	else if (ip.frag_off & bpf_htons(IPV4_MORE_FRAGMENTS))
		packet->fragment = FIRST_FRAGMENT;
	packet->fragment_id = ip.id;
	if (ip.ihl > 6) {
		__be16 head;

		packet->direct = !load(skb, offset + sizeof(ip), &head, sizeof(head)) && head == bpf_htons(DIRECT_V4_HEAD);
	}
	return 0;
}

/* parse_ipv6 - the header at @offset and the extensions behind it. Return: 0, or the drop reason. */
static __always_inline int parse_ipv6(struct __sk_buff *skb, struct packet *packet, __u32 offset)
{
	struct tuple *tuple = &packet->tuple;
	struct ipv6_extension extension;
	struct ipv6hdr ip;
	__u8 next;

	if (load(skb, offset, &ip, sizeof(ip)) || ip.version != 6)
		return REASON_INVALID_PACKET;
	__builtin_memcpy(&tuple->source, &ip.saddr, 16);
	__builtin_memcpy(&tuple->destination, &ip.daddr, 16);
	/* On the wire a mapped address would be an IPv4 pod's in every map. */
	if (address_is_v4(&tuple->source) || address_is_v4(&tuple->destination))
		return REASON_INVALID_PACKET;
	packet->ttl = ip.hop_limit;
	next = ip.nexthdr;
	offset += sizeof(ip);
	for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS && next != IPPROTO_FRAGMENT)
			break;
		if (bpf_skb_load_bytes(skb, offset, &extension, sizeof(extension)))
			return REASON_INVALID_PACKET;
		if (next == IPPROTO_FRAGMENT) {
			packet->fragment_id = extension.fragment_id;
			if (extension.fragment_offset & bpf_htons(IPV6_FRAGMENT_OFFSET))
				packet->fragment = LATER_FRAGMENT;
			else if (extension.fragment_offset & bpf_htons(1))
				packet->fragment = FIRST_FRAGMENT;
			offset += 8;
		} else {
			if (!i && next == IPPROTO_DSTOPTS && extension.length == DIRECT_V6_LENGTH && extension.fragment_offset == bpf_htons(DIRECT_V6_HEAD))
				packet->direct = true;
			offset += 8 + extension.length * 8;
		}
		next = extension.next;
		if (packet->fragment == LATER_FRAGMENT)
			break;
	}
	tuple->protocol = next;
	packet->l4_offset = offset;
	return 0;
}

/*
 * parse_ip - the IP header at @offset and the ports behind it. Return: 0, or the drop reason.
 * A global function: the verifier proves it once, not again for all that comes after each kind of packet.
 */
__noinline int parse_ip(struct __sk_buff *skb, struct packet *packet, __u32 offset, bool inner)
{
	int reason;

	if (!packet || offset >= LINEAR_MAX)
		return REASON_INVALID_PACKET;
	reason = packet->v6 ? parse_ipv6(skb, packet, offset) : parse_ipv4(skb, packet, offset);
	if (reason)
		return reason;
	if (packet->fragment != LATER_FRAGMENT) {
		reason = parse_l4(skb, packet, inner);
		if (reason)
			return reason;
	}
	return packet->fragment != WHOLE && !inner ? parse_fragment(skb, packet) : 0;
}

/* tuple_reverse - the same flow seen from its other side. */
static __always_inline void tuple_reverse(const struct tuple *tuple, struct tuple *reversed)
{
	reversed->source = tuple->destination;
	reversed->destination = tuple->source;
	reversed->source_port = tuple->destination_port;
	reversed->destination_port = tuple->source_port;
	reversed->protocol = tuple->protocol;
	reversed->tcp_flags = tuple->tcp_flags;
	reversed->policy_port = policy_port_from(tuple->protocol, tuple->source_port);
}
