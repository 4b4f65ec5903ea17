package raia

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/meterhouse/meterhouse/schema"
)

var bom = []byte("\xef\xbb\xbf")

// decode reads the body of a request. It is total: any bytes give a usage or an error, which is
// or joins *schema.Error, one for each member at fault.
func decode(body []byte) (usage, error) {
	typeName, amount, ok := scanFlat(body)
	if ok {
		// What scanFlat takes is a type name without escapes and a number: most requests are
		// decided here without a general parser, and without memory of their own.
		usageType, typeErr := checkType(typeName)
		quantity, amountErr := checkAmount(amount)
		return usageOf(usageType, typeErr, quantity, amountErr)
	}
	return decodeAny(body)
}

// decodeAny reads any JSON object, and says what is wrong with anything else.
func decodeAny(body []byte) (usage, error) {
	body = bytes.TrimPrefix(body, bom) // some editors and shells put one in front
	if !utf8.Valid(body) {
		return usage{}, schema.Errorf(schema.Unreadable, fieldBody, "must be valid UTF-8")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return usage{}, schema.Errorf(schema.Unreadable, fieldBody, "must be one JSON object")
	}
	usageType, typeErr := typeMember(members[fieldType])
	quantity, amountErr := amountMember(members[fieldAmount])
	return usageOf(usageType, typeErr, quantity, amountErr)
}

func typeMember(raw json.RawMessage) (string, error) {
	if raw == nil {
		return "", schema.Errorf(schema.Invalid, fieldType, "is required")
	}
	var name string
	if raw[0] != '"' || json.Unmarshal(raw, &name) != nil {
		return "", schema.Errorf(schema.Invalid, fieldType, "must be a string")
	}
	return checkType([]byte(name))
}

func amountMember(raw json.RawMessage) (schema.Quantity, error) {
	if raw == nil {
		return schema.Quantity{}, schema.Errorf(schema.Invalid, fieldAmount, "is required")
	}
	if c := raw[0]; c != '-' && (c < '0' || c > '9') {
		return schema.Quantity{}, schema.Errorf(schema.Invalid, fieldAmount, "must be a number")
	}
	return checkAmount(raw)
}

// usageOf complains of both members at once, so that a client needs no second try to learn of
// the second.
func usageOf(
	usageType string, typeErr error, quantity schema.Quantity, amountErr error,
) (usage, error) {
	if typeErr != nil || amountErr != nil {
		return usage{}, errors.Join(typeErr, amountErr)
	}
	return usage{usageType: usageType, quantity: quantity}, nil
}

func checkType(name []byte) (string, error) {
	usageType, ok := usageTypeOf(name)
	if !ok {
		return "", schema.Errorf(schema.Invalid, fieldType, "must be %s or %s",
			schema.OpenAITokens, schema.VapiSeconds)
	}
	return usageType, nil
}

func checkAmount(literal []byte) (schema.Quantity, error) {
	quantity, err := schema.ParseQuantity(string(literal))
	if errors.Is(err, schema.ErrPrecision) {
		return schema.Quantity{}, schema.Errorf(schema.Invalid, fieldAmount,
			"must have at most %d decimals", schema.QuantityScale)
	}
	if err != nil {
		return schema.Quantity{}, schema.Errorf(schema.Invalid, fieldAmount, "%v", err)
	}
	if quantity.Sign() < 0 {
		return schema.Quantity{}, schema.Errorf(schema.Invalid, fieldAmount,
			"must not be negative")
	}
	return quantity, nil
}
