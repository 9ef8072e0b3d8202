// Does what programs do with files, through Go's library and from many goroutines, and prints
// what came of it. Built for this machine it prints the same.
//
//	files-go FOLDER [MIB]
//
// FOLDER must be empty, and is empty again at the end; MIB is the size of the big file.
package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"time"
)

// must ends the program with the error, if there is one.
func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "files-go:", err)
		os.Exit(1)
	}
}

func check(holds bool, what string) {
	if !holds {
		must(errors.New(what))
	}
}

// fill makes bytes that look like chance and follow from the seed: SplitMix64.
func fill(seed uint64, bytes []byte) {
	for i := range bytes {
		if i%8 == 0 {
			seed += 0x9e3779b97f4a7c15
		}
		x := seed
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		bytes[i] = byte((x ^ x>>31) >> (i % 8 * 8))
	}
}

// sum is the beginning of a digest over all files below a folder, and their number.
func sum(root string) (int, string) {
	digest, files := sha256.New(), 0
	must(filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		fmt.Fprintf(digest, "%s %d\n", name, len(content))
		digest.Write(content)
		files++
		return err
	}))
	return files, fmt.Sprintf("%x", digest.Sum(nil)[:8])
}

func tree(root string) {
	root = filepath.Join(root, "tree")
	var writers sync.WaitGroup
	for outer := 0; outer < 16; outer++ {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for inner := 0; inner < 16; inner++ {
				folder := filepath.Join(root, strconv.Itoa(outer), "inner", strconv.Itoa(inner))
				must(os.MkdirAll(folder, 0o755))
				content := make([]byte, 100*outer+13*inner)
				fill(uint64(outer<<8|inner), content)
				must(os.WriteFile(filepath.Join(folder, "file"), content, 0o644))
			}
		}()
	}
	writers.Wait()
	files, digest := sum(root)
	fmt.Println("tree:", files, "files,", digest)

	must(os.Rename(filepath.Join(root, "3"), filepath.Join(root, "5", "moved")))
	must(os.Rename(filepath.Join(root, "1/inner/1/file"), filepath.Join(root, "1/inner/2/file")))
	files, digest = sum(root)
	fmt.Println("after renames:", files, "files,", digest)
	entries, err := os.ReadDir(root)
	must(err)
	fmt.Println("entries:", len(entries), "from", entries[0].Name(), "to", entries[len(entries)-1].Name())
	must(os.RemoveAll(root))
	_, err = os.Stat(root)
	fmt.Println("removed:", errors.Is(err, fs.ErrNotExist))
}

func mistakes(root string) {
	file := filepath.Join(root, "file")
	must(os.WriteFile(file, []byte("text"), 0o644))
	tell := func(what string, err error) {
		kind := "something else"
		for name, is := range map[string]error{
			"does not exist": fs.ErrNotExist, "exists": fs.ErrExist,
		} {
			if errors.Is(err, is) {
				kind = name
			}
		}
		fmt.Printf("%s: %t, %s\n", what, err != nil, kind)
	}
	_, err := os.Open(filepath.Join(root, "missing"))
	tell("open a missing file", err)
	_, err = os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	tell("create one that is there", err)
	_, err = os.ReadDir(file)
	tell("list a file", err)
	tell("make a folder where a file is", os.Mkdir(file, 0o755))
	tell("remove what is missing", os.Remove(filepath.Join(root, "missing")))
	must(os.Remove(file))
}

func sizes(root string) {
	path := filepath.Join(root, "sizes")
	file, err := os.Create(path)
	must(err)
	_, err = file.WriteString("0123456789")
	must(err)
	must(file.Truncate(4))
	must(file.Truncate(12))
	_, err = file.WriteAt([]byte("end"), 11)
	must(err)
	content, err := os.ReadFile(path)
	must(err)
	fmt.Printf("cut, grown, written at its end: %q\n", content)
	const far = 5 << 30
	_, err = file.WriteAt([]byte("far"), far)
	must(err)
	hole := make([]byte, 4096)
	_, err = file.ReadAt(hole, far/2)
	must(err)
	status, err := file.Stat()
	must(err)
	fmt.Println("sparse:", status.Size(), "bytes, its hole is empty:", bytes.Equal(hole, make([]byte, 4096)))
	must(file.Sync())
	must(file.Close())
	_, err = file.WriteString("late")
	fmt.Println("closed:", errors.Is(err, os.ErrClosed))

	must(os.Truncate(path, 0))
	log, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	must(err)
	for line := 0; line < 3; line++ {
		fmt.Fprintln(log, "line", line)
	}
	must(log.Close())
	file, err = os.Open(path)
	must(err)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fmt.Println("appended:", lines.Text())
	}
	must(file.Close())
	must(os.Remove(path))
}

func links(root string) {
	file, hard, soft := filepath.Join(root, "file"), filepath.Join(root, "hard"), filepath.Join(root, "soft")
	must(os.WriteFile(file, []byte("linked"), 0o644))
	must(os.Link(file, hard))
	must(os.Remove(file))
	must(os.Symlink("hard", soft))
	target, err := os.Readlink(soft)
	must(err)
	content, err := os.ReadFile(soft)
	must(err)
	status, err := os.Lstat(soft)
	must(err)
	fmt.Printf("a symbolic link: %t, to %s, with %q\n", status.Mode()&fs.ModeSymlink != 0, target, content)
	must(os.Remove(hard))
	_, err = os.Stat(soft)
	fmt.Println("when its target is gone:", errors.Is(err, fs.ErrNotExist))
	must(os.Remove(soft))
}

// manyAtOnce lets goroutines write and read their parts of one file by descriptors of their own.
func manyAtOnce(root string) {
	const parts, size = 64, 50_000
	path := filepath.Join(root, "parts")
	must(os.WriteFile(path, nil, 0o644))
	var all sync.WaitGroup
	for part := 0; part < parts; part++ {
		all.Add(1)
		go func() {
			defer all.Done()
			file, err := os.OpenFile(path, os.O_RDWR, 0)
			must(err)
			defer file.Close()
			content, back := make([]byte, size), make([]byte, size)
			fill(uint64(part), content)
			for at := 0; at < size; at += 700 {
				_, err = file.WriteAt(content[at:min(at+700, size)], int64(part*size+at))
				must(err)
			}
			_, err = file.ReadAt(back, int64(part*size))
			must(err)
			check(bytes.Equal(content, back), "a part is not what was written")
		}()
	}
	all.Wait()
	_, digest := sum(path)
	fmt.Println("many at once:", digest)
	must(os.Remove(path))
}

// archive writes a zip file and unpacks it again: seeks, small reads and writes.
func archive(root string) {
	path := filepath.Join(root, "archive.zip")
	file, err := os.Create(path)
	must(err)
	writer := zip.NewWriter(file)
	for i := 0; i < 50; i++ {
		entry, err := writer.CreateHeader(&zip.FileHeader{
			Name: fmt.Sprintf("folder %d/entry", i%5) + strconv.Itoa(i), Method: zip.Deflate,
		})
		must(err)
		content := make([]byte, 1000*i)
		fill(uint64(i), content[:len(content)/2])
		_, err = entry.Write(content)
		must(err)
	}
	must(writer.Close())
	must(file.Close())
	reader, err := zip.OpenReader(path)
	must(err)
	sort.Slice(reader.File, func(a, b int) bool { return reader.File[a].Name < reader.File[b].Name })
	digest := sha256.New()
	for _, entry := range reader.File {
		content, err := entry.Open()
		must(err)
		_, err = io.Copy(digest, content)
		must(err)
	}
	must(reader.Close())
	fmt.Printf("unpacked: %d entries, %x\n", len(reader.File), digest.Sum(nil)[:8])
	must(os.Remove(path))
}

func big(root string, mib int) {
	path := filepath.Join(root, "big")
	file, err := os.Create(path)
	must(err)
	piece, expected := make([]byte, 1<<20), make([]byte, 1<<20)
	for i := 0; i < mib; i++ {
		fill(uint64(i), piece)
		_, err = file.Write(piece)
		must(err)
	}
	must(file.Sync())
	digest := sha256.New()
	for i := mib - 1; i >= 0; i-- {
		_, err = file.ReadAt(piece, int64(i)<<20)
		must(err)
		fill(uint64(i), expected)
		check(bytes.Equal(piece, expected), "a piece is not what was written")
		digest.Write(piece)
	}
	fmt.Printf("big: %d MiB, read backwards: %x\n", mib, digest.Sum(nil)[:8])
	must(file.Close())
	must(os.Remove(path))
}

func times(root string) {
	path := filepath.Join(root, "times")
	must(os.WriteFile(path, []byte("text"), 0o644))
	set := time.Unix(1_000_000_000, 123_456_789)
	must(os.Chtimes(path, set, set))
	status, err := os.Stat(path)
	must(err)
	fmt.Println("time kept to the nanosecond:", status.ModTime().Equal(set))
	must(os.WriteFile(path, []byte("other"), 0o644))
	status, err = os.Stat(path)
	must(err)
	fmt.Println("and changed by writing:", status.ModTime().After(set))
	must(os.Remove(path))
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: files-go FOLDER [MIB]")
		os.Exit(2)
	}
	root, mib := os.Args[1], 16
	if len(os.Args) > 2 {
		var err error
		mib, err = strconv.Atoi(os.Args[2])
		must(err)
	}
	tree(root)
	mistakes(root)
	sizes(root)
	links(root)
	manyAtOnce(root)
	archive(root)
	big(root, mib)
	times(root)
	entries, err := os.ReadDir(root)
	must(err)
	fmt.Println("left over:", len(entries))
}
