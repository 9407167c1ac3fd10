package process

import (
	"errors"
	"fmt"
	"strings"
)

// words splits a command line at blanks. Quotes and \ work as in a shell. What only a shell could carry out is refused
// rather than handed on as it stands, for nobody who writes `> out` wants a program to get those two words.
func words(line string) ([]string, error) {
	var (
		list  []string
		word  strings.Builder
		open  bool // a word has begun, possibly an empty one in quotes
		quote rune // ' or " where inside of one
	)
	runes := []rune(line)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case quote == '\'' && r != '\'':
			word.WriteRune(r)
		case r == quote && quote != 0:
			quote = 0
		case r == '\\':
			if i++; i == len(runes) {
				return nil, errors.New(`the command ends in \; write \\ for a backslash`)
			}
			if quote == '"' && !strings.ContainsRune(`"\$`+"`", runes[i]) {
				word.WriteRune('\\')
			}
			word.WriteRune(runes[i])
			open = true
		case strings.ContainsRune("$`", r) || quote == 0 && strings.ContainsRune("|&;<>()\n", r):
			return nil, fmt.Errorf("%q needs a shell, and there is none; put it in single quotes, or write sh -c '…'", r)
		case quote == '"':
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, open = r, true
		case r == ' ' || r == '\t':
			if open {
				list = append(list, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(r)
			open = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	if open {
		list = append(list, word.String())
	}
	if len(list) > 0 && list[0] == "" {
		return nil, errors.New("the program's name is empty")
	}
	return list, nil
}
