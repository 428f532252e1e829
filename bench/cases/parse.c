/* Ethernet, two VLAN tags, IPv4 with options, TCP with options: find the window scale. */
#include "bench.h"

static inline u16 be16(const u8 *at)
{
	return at[0] << 8 | at[1];
}

PROGRAM(parse)
{
	PACKET(14)
	u32 type = be16(p + 12), scale = 0;
	u8 *at = p + 14;

	for (u32 tags = 0; tags < 2; tags++) {
		if (type != 0x8100 && type != 0x88a8)
			break;
		if (at + 4 > end)
			return -2;
		type = be16(at + 2);
		at += 4;
	}
	if (type != 0x0800 || at + 20 > end)
		return -3;
	u32 ihl = (at[0] & 15) * 4;

	if (ihl < 20 || at[9] != 6 || be16(at + 6) & 0x1fff)
		return -4;
	at += ihl;
	if (at + 20 > end)
		return -5;
	u32 ports = be16(at) << 16 | be16(at + 2), left = (at[12] >> 4) * 4;

	if (left < 20)
		return -6;
	left -= 20;
	at += 20;
	for (u32 i = 0; i < 12 && left; i++) {
		if (at + 1 > end)
			return -7;
		u8 kind = at[0];

		if (kind == 0)
			break;
		if (kind == 1) {
			at++;
			left--;
			continue;
		}
		if (at + 3 > end)
			return -8;
		u32 len = at[1];

		if (len < 2 || len > left || len > 40)
			return -9;
		if (kind == 3)
			scale = at[2];
		at += len;
		left -= len;
	}
	return (ports ^ ports >> 16) * 16 + scale;
}
