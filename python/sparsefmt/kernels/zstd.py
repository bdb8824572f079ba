"""What a zstd frame holds, and the simplest frame that holds given bytes.

Source: RFC 8878, sections 3 and 4 and appendix A. Content checksums are not looked at; dictionaries are refused.
"""

from typing import NoReturn

from sparsefmt.base.errors import FormatError

MAGIC = b"\x28\xb5\x2f\xfd"
_MOST = 1 << 17  # bytes of a block

_LITERAL_LENGTHS = (
    [(n, 0) for n in range(16)]
    + [(16, 1), (18, 1), (20, 1), (22, 1), (24, 2), (28, 2), (32, 3), (40, 3), (48, 4), (64, 6)]
    + [(1 << n, n) for n in range(7, 17)]
)
_MATCH_LENGTHS = (
    [(n + 3, 0) for n in range(32)]
    + [(35, 1), (37, 1), (39, 1), (41, 1), (43, 2), (47, 2), (51, 3), (59, 3), (67, 4), (83, 4), (99, 5)]
    + [((1 << n) + 3, n) for n in range(7, 17)]
)
_PREDEFINED = (
    ([4, 3, *[2] * 11, 1, 1, 1, *[2] * 9, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1], 6),
    ([*[1] * 6, 2, 2, 2, *[1] * 15, -1, -1, -1, -1, -1], 5),
    ([1, 4, 3, *[2] * 6, *[1] * 37, *[-1] * 7], 6),
)
"""Of literal lengths, offsets and match lengths: frequencies, and the logarithm of their sum."""
_LOGS = 9, 8, 9

Fse = tuple[list[tuple[int, int, int]], int]  # of each state: symbol, bits, base; the logarithm of their number


def refuse(what: str) -> NoReturn:
    """Raises FormatError."""
    msg = f"zstd: {what}"
    raise FormatError(msg)


def stored_frame(data: bytes) -> bytes:
    """A frame of one segment whose blocks hold `data` as it is."""
    out = bytearray(MAGIC + b"\xe0" + len(data).to_bytes(8, "little"))
    for start in range(0, max(len(data), 1), _MOST):
        block = data[start : start + _MOST]
        out += (len(block) << 3 | (start + _MOST >= len(data))).to_bytes(3, "little") + block
    return bytes(out)


class _Bits:
    """Bits read from the end to the start; before the start there are zeros."""

    def __init__(self, data: bytes) -> None:
        self.value = int.from_bytes(data, "little")
        self.left = self.value.bit_length() - 1
        if not data or not data[-1]:
            refuse("a stream of bits has no end")

    def peek(self, count: int) -> int:
        at = self.left - count
        return (self.value >> at if at >= 0 else self.value << -at) & ((1 << count) - 1)

    def read(self, count: int) -> int:
        value = self.peek(count)
        self.left -= count
        return value


def _frequencies(data: bytes, most: int) -> tuple[list[int], int, int]:
    """The frequencies that a table description holds, the logarithm of their sum, and its bytes."""
    bits, at = int.from_bytes(data[:512], "little"), 4
    log = (bits & 15) + 5
    if log > most:
        refuse(f"a table has {log} bits, allowed {most}")
    left, found = 1 << log, list[int]()
    while left > 0:
        width = (left + 1).bit_length()
        value, low = bits >> at & ((1 << width) - 1), (1 << (width - 1)) - 1
        spare = (1 << width) - 2 - left
        if value & low < spare:
            value, width = value & low, width - 1
        elif value > low:
            value -= spare
        at += width
        found.append(value - 1)
        left -= abs(value - 1)
        while value == 1:
            more = bits >> at & 3
            at += 2
            found += [0] * more
            if more != 3:
                break
    if left < 0 or len(found) > 256:
        refuse("a table does not add up")
    return found, log, -(-at // 8)


def _table(frequencies: list[int], log: int) -> Fse:
    size = 1 << log
    symbols, high, counts = [0] * size, size, [abs(f) for f in frequencies]
    for symbol, frequency in enumerate(frequencies):
        if frequency == -1:
            high -= 1
            symbols[high] = symbol
    place = 0
    for symbol, frequency in enumerate(frequencies):
        for _ in range(max(frequency, 0)):
            symbols[place] = symbol
            place = (place + (size >> 1) + (size >> 3) + 3) & (size - 1)
            while place >= high:
                place = (place + (size >> 1) + (size >> 3) + 3) & (size - 1)
    states = []
    for symbol in symbols:
        bits = log + 1 - counts[symbol].bit_length()
        states.append((symbol, bits, (counts[symbol] << bits) - size))
        counts[symbol] += 1
    return states, log


def _weights(data: bytes) -> tuple[list[int], int]:
    """The weights of the symbols of a Huffman tree but the last, and the bytes of the description."""
    head = data[0]
    if head >= 128:
        packed = data[1 : 1 + (head - 126) // 2]
        return [w for byte in packed for w in (byte >> 4, byte & 15)][: head - 127], 1 + len(packed)
    frequencies, log, used = _frequencies(data[1 : 1 + head], 6)
    (states, log), bits = _table(frequencies, log), _Bits(data[1 + used : 1 + head])
    found, pair = list[int](), [bits.read(log), bits.read(log)]
    while len(found) < 256:
        symbol, count, base = states[pair[0]]
        found.append(symbol)
        if bits.left < count:
            found.append(states[pair[1]][0])
            break
        pair = [pair[1], base + bits.read(count)]
    return found, 1 + head


def _tree(weights: list[int]) -> tuple[list[tuple[int, int]], int]:
    """Symbol and bits of every code of full length, and that length."""
    total = sum(1 << w >> 1 for w in weights)
    length = total.bit_length()
    rest = (1 << length) - total
    if not total or rest & (rest - 1) or length > 11 or len(weights) > 255:
        refuse("the weights of a tree do not add up")
    weights = [*weights, rest.bit_length()]
    table = []
    for weight in range(1, length + 1):
        for symbol, w in enumerate(weights):
            if w == weight:
                table += [(symbol, length + 1 - weight)] * (1 << weight >> 1)
    return table, length


class _Frame:
    """What blocks leave behind for those that follow."""

    def __init__(self, most: int) -> None:
        self.out, self.most = bytearray(), most
        self.recent = [1, 4, 8]
        self.tree: tuple[list[tuple[int, int]], int] | None = None
        self.tables: list[Fse | None] = [None, None, None]

    def _stream(self, data: bytes, size: int) -> bytes:
        if self.tree is None:
            refuse("literals without a tree")
        (table, length), bits, out = self.tree, _Bits(data), bytearray()
        for _ in range(size):
            symbol, used = table[bits.peek(length)]
            bits.left -= used
            out.append(symbol)
        if bits.left:
            refuse("literals end elsewhere")
        return bytes(out)

    def _literals(self, data: bytes) -> tuple[bytes, int]:
        """The literals of a block, and the bytes of their section."""
        kind, form = data[0] & 3, data[0] >> 2 & 3
        if kind < 2:
            head = 1 if form in (0, 2) else form // 2 + 2
            size = int.from_bytes(data[:head], "little") >> (3 if head == 1 else 4)
            if size > _MOST:
                refuse("too many literals")
            return (data[head : head + size], head + size) if kind == 0 else (data[head : head + 1] * size, head + 1)
        head, width = ((3, 10), (3, 10), (4, 14), (5, 18))[form]
        both = int.from_bytes(data[:head], "little") >> 4
        size, packed = both & ((1 << width) - 1), both >> width
        body, end = data[head : head + packed], head + packed
        if size > _MOST or len(body) < packed:
            refuse("literals are cut")
        if kind == 2:
            weights, used = _weights(body)
            self.tree, body = _tree(weights), body[used:]
        if form == 0:
            return self._stream(body, size), end
        jumps, body, each = [int.from_bytes(body[i : i + 2], "little") for i in (0, 2, 4)], body[6:], (size + 3) // 4
        out, start = b"", 0
        for jump in jumps:
            out += self._stream(body[start : start + jump], each)
            start += jump
        return out + self._stream(body[start:], size - len(out)), end

    def _choose(self, which: int, mode: int, data: bytes) -> int:
        """Sets a table of codes; returns the bytes of its description."""
        used = 0
        if mode == 0:
            self.tables[which] = _table(*_PREDEFINED[which])
        elif mode == 1:
            self.tables[which], used = ([(data[0], 0, 0)], 0), 1
        elif mode == 2:
            frequencies, log, used = _frequencies(data, _LOGS[which])
            self.tables[which] = _table(frequencies, log)
        elif self.tables[which] is None:
            refuse("a table is repeated that was never set")
        return used

    def _offset(self, value: int, literals: int) -> int:
        recent = self.recent
        if value > 3:
            self.recent = [value - 3, *recent[:2]]
        else:
            at = value - 1 + (literals == 0)
            used = recent[at] if at < 3 else recent[0] - 1
            self.recent = [used, *[r for i, r in enumerate(recent) if i != min(at, 2)]]
        return self.recent[0]

    def block(self, data: bytes) -> None:
        """Appends what a compressed block holds."""
        literals, at = self._literals(data)
        count, at = data[at], at + 1
        if count > 127:
            count, at = (
                ((count - 128 << 8) + data[at], at + 1)
                if count < 255
                else (
                    data[at] + (data[at + 1] << 8) + 0x7F00,
                    at + 2,
                )
            )
        if not count:
            self._append(literals)
            return
        modes, at = data[at], at + 1
        for which in range(3):
            at += self._choose(which, modes >> (6 - 2 * which) & 3, data[at:])
        tables = [t for t in self.tables if t is not None]
        bits = _Bits(data[at:])
        states, start = [bits.read(log) for _, log in tables], 0
        for i in range(count):
            length_code, offset_code, match_code = (t[0][s][0] for t, s in zip(tables, states, strict=True))
            offset = (1 << offset_code) + bits.read(offset_code)
            base, extra = _MATCH_LENGTHS[match_code]
            match = base + bits.read(extra)
            base, extra = _LITERAL_LENGTHS[length_code]
            length = base + bits.read(extra)
            if i < count - 1:
                for which in (0, 2, 1):
                    _, used, base = tables[which][0][states[which]]
                    states[which] = base + bits.read(used)
            self._append(literals[start : start + length])
            start += length
            self._copy(self._offset(offset, length), match)
        if bits.left or start > len(literals):
            refuse("sequences end elsewhere")
        self._append(literals[start:])

    def _append(self, data: bytes) -> None:
        if len(self.out) + len(data) > self.most:
            refuse(f"it holds more than {self.most} bytes")
        self.out += data

    def _copy(self, offset: int, length: int) -> None:
        if not 0 < offset <= len(self.out):
            refuse("a match begins before the start")
        piece = bytes(self.out[-offset:][:length])
        self._append((piece * (length // len(piece) + 1))[:length])


def _header(frame: bytes) -> tuple[int, int | None, int]:
    """Bytes of the header, the content size if there is one, and the bytes of the checksum."""
    if frame[:4] != MAGIC:
        refuse("it is no frame")
    flags = frame[4]
    if flags & 11:
        refuse("a frame with a dictionary or reserved bits")
    single, form = flags >> 5 & 1, flags >> 6
    at, size = 6 - single, (single, 2, 4, 8)[form]
    content = int.from_bytes(frame[at : at + size], "little") + (256 if form == 1 else 0)
    return at + size, content if size else None, 4 * (flags >> 2 & 1)


def content(frame: bytes, most: int) -> bytes:
    """What one whole frame holds.

    Raises:
        FormatError: it is no such frame, or holds more than `most` bytes.
    """
    try:
        at, size, checksum = _header(frame)
        made, last = _Frame(most), 0
        while not last:
            head = int.from_bytes(frame[at : at + 3], "little")
            last, kind, count = head & 1, head >> 1 & 3, head >> 3
            body = frame[at + 3 : at + 3 + (1 if kind == 1 else count)]
            if kind == 3 or count > _MOST or len(frame) < at + 3 + len(body) or len(body) < (kind == 1 or count):
                refuse("a block is cut or reserved")
            at += 3 + len(body)
            if kind == 2:
                made.block(body)
            else:
                made._append(body * count if kind == 1 else body)
    except IndexError:
        refuse("it is cut or damaged")
    if at + checksum != len(frame) or size not in (None, len(made.out)):
        refuse("it is cut, or something follows it")
    return bytes(made.out)
