/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Parsing: from bytes to one struct that is the same for both families. */
#pragma once

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "common.h"

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

#define FRAGMENT_OFFSET 0x1fff

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

struct packet {
	struct tuple tuple;
	__u32 l4_offset;
	bool v6;
	bool ttl_expires;		/* TTL or hop limit is 1 or 0 */
	bool icmp_error;		/* an error: the inner packet's flow decides */
	bool icmp_other;		/* neither echo nor error: judged, not tracked */
};

struct icmp_echo_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 id;
};

static __always_inline bool icmp4_is_error(__u8 type)
{
	return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

static __always_inline bool icmp6_is_error(__u8 type)
{
	return type < 128;
}

/*
 * parse_l4 - ports of the packet at @offset.
 * @inner: the packet stands inside an ICMP error: 8 bytes of it suffice
 *
 * Return: 0, or the drop reason.
 */
static __always_inline int parse_l4(struct __sk_buff *skb, struct packet *packet, __u32 offset, bool inner)
{
	struct tuple *tuple = &packet->tuple;
	__be16 ports[2];
	__u8 flags;

	switch (tuple->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)))
			return REASON_CT_INVALID_HEADER;
		tuple->source_port = ports[0];
		tuple->destination_port = ports[1];
		tuple->policy_port = ports[1];
		if (tuple->protocol == IPPROTO_TCP && !inner) {
			if (bpf_skb_load_bytes(skb, offset + 13, &flags, 1))
				return REASON_CT_INVALID_HEADER;
			tuple->tcp_flags = flags;
		}
		return 0;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: {
		struct icmp_echo_header icmp;
		bool echo;

		if (bpf_skb_load_bytes(skb, offset, &icmp, sizeof(icmp)))
			return REASON_CT_INVALID_HEADER;
		tuple->policy_port = bpf_htons(icmp.type << 8 | icmp.code);
		if (tuple->protocol == IPPROTO_ICMP) {
			echo = icmp.type == ICMP_ECHO || icmp.type == ICMP_ECHOREPLY;
			packet->icmp_error = icmp4_is_error(icmp.type);
		} else {
			echo = icmp.type == ICMPV6_ECHO_REQUEST || icmp.type == ICMPV6_ECHO_REPLY;
			packet->icmp_error = icmp6_is_error(icmp.type);
		}
		tuple->source_port = echo ? icmp.id : 0;
		tuple->destination_port = echo ? icmp.id : 0;
		packet->icmp_other = !echo && !packet->icmp_error;
		return 0;
	}
	default:
		return REASON_CT_UNKNOWN_L4;
	}
}

/* parse_ip - the IP header at @offset and the ports behind it. Return: 0, or the drop reason. */
static __always_inline int parse_ip(struct __sk_buff *skb, struct packet *packet, __u32 offset, bool inner)
{
	struct tuple *tuple = &packet->tuple;

	tuple->tcp_flags = 0;
	packet->icmp_error = false;
	packet->icmp_other = false;
	if (!packet->v6) {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
			return REASON_INVALID_PACKET;
		address_from_v4(&tuple->source, ip.saddr);
		address_from_v4(&tuple->destination, ip.daddr);
		tuple->protocol = ip.protocol;
		packet->ttl_expires = ip.ttl <= 1;
		packet->l4_offset = offset + ip.ihl * 4;
		if (ip.frag_off & bpf_htons(FRAGMENT_OFFSET))
			return REASON_FRAGMENT_UNSUPPORTED;
	} else {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) || ip.version != 6)
			return REASON_INVALID_PACKET;
		__builtin_memcpy(&tuple->source, &ip.saddr, 16);
		__builtin_memcpy(&tuple->destination, &ip.daddr, 16);
		tuple->protocol = ip.nexthdr;
		packet->ttl_expires = ip.hop_limit <= 1;
		packet->l4_offset = offset + sizeof(ip);
	}
	return parse_l4(skb, packet, packet->l4_offset, inner);
}

/* tuple_reverse - the same flow seen from its other side; an ICMP flow that is tracked is an echo. */
static __always_inline void tuple_reverse(const struct tuple *tuple, struct tuple *reversed)
{
	reversed->source = tuple->destination;
	reversed->destination = tuple->source;
	reversed->source_port = tuple->destination_port;
	reversed->destination_port = tuple->source_port;
	reversed->protocol = tuple->protocol;
	reversed->tcp_flags = tuple->tcp_flags;
	if (tuple->protocol == IPPROTO_ICMP)
		reversed->policy_port = bpf_htons(ICMP_ECHO << 8);
	else if (tuple->protocol == IPPROTO_ICMPV6)
		reversed->policy_port = bpf_htons(ICMPV6_ECHO_REQUEST << 8);
	else
		reversed->policy_port = tuple->source_port;
}
