package strict

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/jenner-heal/jenner"
)

// Write gives a value as people would write it: what Node reads is the same again. Fields that are optional and empty are left
// out, and those that nobody may write. An error is a value that cannot be written, such as a function.
func Write(value any) (json.RawMessage, error) {
	written, err := write(reflect.ValueOf(value))
	if err != nil {
		return nil, err
	}
	return json.Marshal(written)
}

func write(value reflect.Value) (any, error) {
	for value.Kind() == reflect.Pointer {
		value = value.Elem()
	}
	if !value.IsValid() {
		return nil, nil
	}
	if value.Type() == rawType || marshals(value) {
		raw, err := json.Marshal(value.Interface())
		return json.RawMessage(raw), err
	}
	switch value.Kind() {
	case reflect.Struct:
		return writeStruct(value)
	case reflect.Slice:
		list := make([]any, 0, value.Len())
		for i := range value.Len() {
			one, err := write(value.Index(i))
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
		return list, nil
	case reflect.Map:
		all := map[string]any{}
		for _, key := range value.MapKeys() {
			one, err := write(value.MapIndex(key))
			if err != nil {
				return nil, err
			}
			all[key.String()] = one
		}
		return all, nil
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return nil, fmt.Errorf("a %s cannot be written", value.Kind())
	}
	return value.Interface(), nil
}

func marshals(value reflect.Value) bool {
	for _, one := range []any{value.Interface(), reflect.New(value.Type()).Interface()} {
		switch one.(type) {
		case json.Marshaler, encoding.TextMarshaler:
			return true
		}
	}
	return false
}

func writeStruct(value reflect.Value) (any, error) {
	all := map[string]any{}
	for _, field := range Fields(value.Type()) {
		of := value.FieldByIndex(field.Index)
		if field.Hidden || field.Optional && of.IsZero() {
			continue
		}
		if params, ok := of.Interface().(jenner.Params); ok && field.Rest != RestNone {
			into := all
			if field.Rest == RestKind {
				kind := value.FieldByName("Kind").String()
				if kind == "" {
					continue // the other form was chosen, which names no kind
				}
				into = map[string]any{}
				all[kind] = into
			}
			for name, param := range params {
				into[name] = param
			}
			continue
		}
		one, err := write(of)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field.Name, err)
		}
		all[field.Name] = one
	}
	return all, nil
}
