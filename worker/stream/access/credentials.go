package access

import (
	"bytes"
	"errors"
	"os"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// What is wrong with a credentials file. None of these repeats what is in it.
var (
	errEmpty   = errors.New("it is empty")
	errNoJWT   = errors.New("there is no user JWT in it that can be read; want the file as nsc generate creds writes it, with the JWT and the seed between their BEGIN and END lines and no blank line inside")
	errNotUser = errors.New("the JWT in it is not a user's")
	errNoSeed  = errors.New("there is no user seed in it; want the file as nsc generate creds writes it")
	errOther   = errors.New("the seed in it is not the key of the user in its JWT")
)

// CheckCredentials returns why a credentials file cannot be used. Unless the file cannot be read, the error leaves its name to the
// caller.
func CheckCredentials(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return errEmpty
	}
	token, err := nkeys.ParseDecoratedJWT(text)
	if err != nil {
		return errNoJWT
	}
	claims, err := userClaims(token)
	if err != nil {
		return err
	}
	key, err := nkeys.ParseDecoratedUserNKey(text)
	if err != nil {
		return errNoSeed
	}
	defer key.Wipe()
	if public, err := key.PublicKey(); err != nil || public != claims.Subject {
		return errOther
	}
	return nil
}

// CheckJWT returns why a text is not the JWT of a user. If a credentials file is damaged, the NATS client sends the whole file, with
// the private seed in it, as the JWT: so everything that is about to be sent as one has to pass here.
func CheckJWT(text string) error {
	_, err := userClaims(text)
	return err
}

func userClaims(token string) (*jwt.UserClaims, error) {
	claims, err := jwt.Decode(token)
	if err != nil {
		return nil, errNoJWT
	}
	user, ok := claims.(*jwt.UserClaims)
	if !ok {
		return nil, errNotUser
	}
	return user, nil
}
