// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Sockets of UDP that were connected to a Service and whose backend is gone: a connected socket never asks again where
 * it sends to, so it would speak to nobody for ever. Its process gets ECONNABORTED, and may connect anew. Only what
 * connect4/6 translated (socket.bpf.c) is destroyed. Terminating backends have their rows: theirs stay.
 *
 * An object of its own: bpf_sock_destroy came with 6.5, and an older kernel loads the others.
 */
#include <linux/in6.h>

#include "lib/common.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define AF_INET 2

/* The kernel's own layouts, as far as they are read; offsets are found when this is loaded. */
struct sock_common {
	__be32 skc_daddr;
	__be16 skc_dport;
	unsigned short skc_family;
	struct in6_addr skc_v6_daddr;
} __attribute__((preserve_access_index));

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));

struct udp_sock;
struct bpf_iter__udp {
	struct bpf_iter_meta *meta;
	struct udp_sock *udp_sk;
} __attribute__((preserve_access_index));

extern int bpf_sock_destroy(struct sock_common *sock) __ksym;

/* Who reads this iterator gets a byte for each socket. */
SEC("iter/udp")
int destroy_udp(struct bpf_iter__udp *ctx)
{
	/* sock_common stands first in every socket */
	struct sock_common *sock = (struct sock_common *)ctx->udp_sk;
	struct socket_revnat_key key = { .protocol = IPPROTO_UDP };
	struct socket_revnat *known;
	struct address peer;
	__u8 told = 1;
	__u32 backend;

	if (!sock)
		return 0;
	key.port = sock->skc_dport;
	if (!key.port)
		return 0;
	if (sock->skc_family == AF_INET) {
		address_from_v4(&peer, sock->skc_daddr);
		__builtin_memcpy(key.address, &peer, 16);
	} else {
		struct in6_addr address = sock->skc_v6_daddr;

		__builtin_memcpy(key.address, &address, 16);
	}
	key.cookie = bpf_get_socket_cookie(sock);
	known = bpf_map_lookup_elem(&sn_sockrev_02, &key);
	if (!known)
		return 0;
	backend = known->backend;
	if (bpf_map_lookup_elem(&sn_backend_01, &backend))
		return 0;
	if (bpf_sock_destroy(sock))
		return 0;
	bpf_map_delete_elem(&sn_sockrev_02, &key);
	bpf_seq_write(ctx->meta->seq, &told, sizeof(told));
	return 0;
}
