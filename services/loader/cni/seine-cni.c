// SPDX-License-Identifier: Apache-2.0
/*
 * seine-cni - the CNI plugin executable: passes a request to the node's
 * datapath-writer and prints its answer. Static and small, because kubelet
 * starts it twice for each pod.
 *
 * Request frame: u32 length, JSON {"id":1,"op":"cni","body":{"env":{...},"stdin":"..."}}.
 * Answer frame: u32 length, JSON {"id":1,"value":"<N> <base64 of the output>"},
 * which needs no JSON parser here: the output is printed as it stands, and the
 * exit code is 0 when N is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/seine/cni.sock"
#define STDIN_MAX (1 << 20)
#define FRAME_MAX (8 << 20)
#define TRY_AGAIN 11
#define IO_FAILURE 5

static const char *const passed[] = { "CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH" };

static int refuse(int code, const char *message, const char *details)
{
	printf("{\"cniVersion\":\"1.1.0\",\"code\":%d,\"msg\":\"%s\",\"details\":\"%s\"}\n", code, message, details);
	return 1;
}

/* Appends JSON-escaped text; what does not fit is cut off and noticed by the caller through *used. */
static void escape(char *out, size_t size, size_t *used, const char *text, size_t length)
{
	for (size_t i = 0; i < length && *used + 8 < size; i++) {
		unsigned char c = text[i];

		if (c == '"' || c == '\\') {
			out[(*used)++] = '\\';
			out[(*used)++] = c;
		} else if (c < 0x20) {
			*used += snprintf(out + *used, size - *used, "\\u%04x", c);
		} else {
			out[(*used)++] = c;
		}
	}
}

static void append(char *out, size_t size, size_t *used, const char *text)
{
	size_t length = strlen(text);

	if (*used + length < size) {
		memcpy(out + *used, text, length);
		*used += length;
	}
}

static int write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = write(fd, bytes, length);

		if (sent <= 0)
			return -1;
		bytes += sent;
		length -= sent;
	}
	return 0;
}

static int read_all(int fd, char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t got = read(fd, bytes, length);

		if (got <= 0)
			return -1;
		bytes += got;
		length -= got;
	}
	return 0;
}

static int value_of(int c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static void print_base64(const char *text)
{
	unsigned int bits = 0;
	int held = 0;

	for (; value_of((unsigned char)*text) >= 0; text++) {
		bits = bits << 6 | value_of((unsigned char)*text);
		held += 6;
		if (held >= 8) {
			held -= 8;
			putchar(bits >> held & 0xff);
		}
	}
}

int main(void)
{
	static char input[STDIN_MAX], request[2 * STDIN_MAX + 65536], answer[FRAME_MAX];
	const char *command = getenv("CNI_COMMAND"), *path = getenv("SEINE_CNI_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = 0, used = 4;
	unsigned int size;
	const char *value;
	int fd;

	if (!command || !*command)
		return refuse(4, "CNI_COMMAND: nothing: expected ADD, DEL, CHECK, STATUS or VERSION", "");
	if (!strcmp(command, "VERSION")) {
		puts("{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}");
		return 0;
	}
	for (ssize_t got; length < sizeof(input) && (got = read(0, input + length, sizeof(input) - length)) > 0;)
		length += got;
	if (length == sizeof(input))
		return refuse(7, "the configuration on standard input is too large: expected at most 1 MiB", "");

	append(request, sizeof(request), &used, "{\"id\":1,\"op\":\"cni\",\"body\":{\"env\":{");
	for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++) {
		const char *text = getenv(passed[i]);

		if (!text)
			continue;
		append(request, sizeof(request), &used, request[used - 1] == '{' ? "\"" : ",\"");
		append(request, sizeof(request), &used, passed[i]);
		append(request, sizeof(request), &used, "\":\"");
		escape(request, sizeof(request), &used, text, strlen(text));
		append(request, sizeof(request), &used, "\"");
	}
	append(request, sizeof(request), &used, "},\"stdin\":\"");
	escape(request, sizeof(request), &used, input, length);
	append(request, sizeof(request), &used, "\"}}");
	size = used - 4;
	memcpy(request, &size, 4);

	if (!path || !*path)
		path = DEFAULT_SOCKET;
	if (strlen(path) >= sizeof(address.sun_path))
		return refuse(4, "SEINE_CNI_SOCKET: expected a path of at most 107 bytes", "");
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return refuse(TRY_AGAIN, "the node's datapath-writer does not answer: try again", strerror(errno));
	if (write_all(fd, request, used) || read_all(fd, (char *)&size, 4) || size >= sizeof(answer) || read_all(fd, answer, size))
		return refuse(TRY_AGAIN, "the node's datapath-writer went away: try again", "");
	answer[size] = 0;
	value = strstr(answer, "\"value\":\"");
	if (!value)
		return refuse(IO_FAILURE, "the node's datapath-writer answered with an error", "");
	value += strlen("\"value\":\"");
	print_base64(strchr(value, ' ') ? strchr(value, ' ') + 1 : "");
	return atoi(value) ? 1 : 0;
}
