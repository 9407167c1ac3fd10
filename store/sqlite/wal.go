package sqlite

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// The write-ahead log and its index, as https://sqlite.org/fileformat2.html#walformat and
// https://sqlite.org/walformat.html describe them.
const (
	logHeader   = 32
	frameHeader = 24
	indexHeader = 48
	indexTries  = 20 // how often a log that others reset meanwhile is read again
)

// checkLog refuses a write-ahead log of which a part that was acknowledged cannot be read any more. SQLite itself takes
// the first broken frame for the end of the log, which is right after a power cut and loses changes after damage.
//
// The index beside the log says how far the log went. It outlives a killed process, and is written after the log is
// synced, so that it never says more than was acknowledged. Where it does not know, after a power cut, the log itself
// tells: of what was not synced there is only one transaction.
func checkLog(path string) error {
	for range indexTries {
		before := readIndex(path + "-shm")
		log, err := scanLog(path + "-wal")
		if err != nil {
			return err
		}
		if after := readIndex(path + "-shm"); after.known != before.known || after.salts != before.salts {
			continue // somebody who has the database open began the log anew
		}
		return log.against(before)
	}
	return nil // whoever goes on writing has read this log when they opened it
}

func (l logState) against(index indexState) error {
	switch {
	case index.known && l.readable && index.salts != l.salts && index.frames > 0:
		return fmt.Errorf("%w: the write-ahead log %s is another one than that of its index", errDamaged, l.path)
	case index.known && l.readable && index.salts != l.salts:
		// The process ended after it had begun the log anew and before it wrote to it; what the log holds is in the
		// database already, and harmless where it is whole.
	case index.known && l.frames < index.frames:
		return fmt.Errorf("%w: of the write-ahead log %s %d of %d pages can be read", errDamaged, l.path, l.frames, index.frames)
	case index.known:
		return nil
	}
	switch {
	case l.size > logHeader && !l.readable && !l.empty:
		return fmt.Errorf("%w: the write-ahead log %s has a broken beginning", errDamaged, l.path)
	case l.later > 1:
		return fmt.Errorf("%w: in the write-ahead log %s page %d is broken, and later changes follow", errDamaged, l.path, l.frames+1)
	}
	return nil
}

// indexState is what the index of the log says.
type indexState struct {
	known  bool
	frames int64 // that were committed
	salts  [8]byte
}

// readIndex reads the index; one that is not there, is broken, or is being written at this moment is not known.
func readIndex(path string) (index indexState) {
	file, err := os.Open(path)
	if err != nil {
		return index
	}
	defer file.Close()
	var both [2 * indexHeader]byte
	if _, err := io.ReadFull(file, both[:]); err != nil {
		return index
	}
	first, second := both[:indexHeader], both[indexHeader:]
	var sum checksum
	sum.add(binary.NativeEndian, first[:40])
	if !bytes.Equal(first, second) || first[12] != 1 || !sum.is(binary.NativeEndian, first[40:]) {
		return index
	}
	index.known, index.frames = true, int64(binary.NativeEndian.Uint32(first[16:]))
	copy(index.salts[:], first[32:])
	return index
}

// logState is what a log holds.
type logState struct {
	path     string
	size     int64
	empty    bool // nothing but zeros, as a power cut leaves a file that was never synced
	readable bool // its header is whole
	salts    [8]byte
	frames   int64 // whole ones, from the first on
	later    int   // ends of transactions after the first frame that is not whole
}

// scanLog reads a log without changing anything. One that is not there is empty.
func scanLog(path string) (logState, error) {
	log := logState{path: path, empty: true}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return log, nil
	}
	if err != nil {
		return log, fmt.Errorf("the write-ahead log: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return log, fmt.Errorf("the write-ahead log: %w", err)
	}
	log.size = info.Size()
	from := bufio.NewReaderSize(file, 1<<20)
	header := make([]byte, logHeader)
	if _, err := io.ReadFull(from, header); err != nil {
		return log, ended(err)
	}
	order, pageSize, sum := log.readHeader(header)
	if !log.readable {
		for part := header; log.empty && err == nil; {
			log.empty = len(bytes.Trim(part, "\x00")) == 0
			var n int
			n, err = from.Read(part[:cap(part)])
			part = part[:n]
		}
		return log, ended(err)
	}
	return log, ended(log.readFrames(from, order, pageSize, sum))
}

// ended takes the end of the file for no error.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func (l *logState) readHeader(header []byte) (order binary.ByteOrder, pageSize int, sum checksum) {
	order = binary.LittleEndian
	magic := binary.BigEndian.Uint32(header)
	if magic&1 == 1 {
		order = binary.BigEndian
	}
	sum.add(order, header[:24])
	pageSize = int(binary.BigEndian.Uint32(header[8:]))
	l.readable = magic&^1 == 0x377f0682 && sum.is(binary.BigEndian, header[24:]) && pageSize >= 512 && pageSize <= 65536
	copy(l.salts[:], header[16:])
	return order, pageSize, sum
}

func (l *logState) readFrames(from io.Reader, order binary.ByteOrder, pageSize int, sum checksum) error {
	frame := make([]byte, frameHeader+pageSize)
	for whole := true; ; {
		if _, err := io.ReadFull(from, frame); err != nil {
			return err
		}
		ours := bytes.Equal(frame[8:16], l.salts[:])
		if whole {
			sum.add(order, frame[:8])
			sum.add(order, frame[frameHeader:])
			whole = ours && sum.is(binary.BigEndian, frame[16:])
		}
		switch endsChange := binary.BigEndian.Uint32(frame[4:]) != 0; {
		case whole:
			l.frames++
		case ours && endsChange:
			l.later++
		}
	}
}

// checksum is the one that SQLite has for logs: a Fibonacci-weighted one over pairs of words.
type checksum struct{ a, b uint32 }

func (c *checksum) add(order binary.ByteOrder, data []byte) {
	for ; len(data) >= 8; data = data[8:] {
		c.a += order.Uint32(data) + c.b
		c.b += order.Uint32(data[4:]) + c.a
	}
}

func (c *checksum) is(order binary.ByteOrder, stored []byte) bool {
	return order.Uint32(stored) == c.a && order.Uint32(stored[4:]) == c.b
}
