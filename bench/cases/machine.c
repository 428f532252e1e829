/* A state machine over 256 bytes: counts the numbers and the names in a text. */
#include "bench.h"

enum { BLANK, NAME, NUMBER, ESCAPE, QUOTED, COMMENT };

PROGRAM(machine)
{
	u32 state = BLANK, names = 0, numbers = 0, quotes = 0;

	PACKET(256)
	for (u32 i = 0; i < 256; i++) {
		u8 c = p[i];

		switch (state) {
		case BLANK:
			if (c >= 'a' && c <= 'z') {
				state = NAME;
				names++;
			} else if (c >= '0' && c <= '9') {
				state = NUMBER;
				numbers++;
			} else if (c == '"') {
				state = QUOTED;
				quotes++;
			} else if (c == '#') {
				state = COMMENT;
			}
			break;
		case NAME:
			if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
				state = c == '"' ? QUOTED : BLANK;
			break;
		case NUMBER:
			if (c >= 'a' && c <= 'z')
				state = NAME;
			else if (!(c >= '0' && c <= '9'))
				state = BLANK;
			break;
		case QUOTED:
			if (c == '\\')
				state = ESCAPE;
			else if (c == '"')
				state = BLANK;
			break;
		case ESCAPE:
			state = QUOTED;
			break;
		default:
			if (c == ';')
				state = BLANK;
		}
	}
	return names << 16 | numbers << 8 | quotes;
}
