package gomlx

import (
	"errors"

	_ "github.com/gomlx/go-xla/compute/xla"
	_ "github.com/gomlx/go-xla/pjrt"
)

func (e *Engine) openXLA() (string, error) { return "", errors.New("todo") }
