module github.com/statvent/statvent

go 1.26
