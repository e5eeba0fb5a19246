package access

import "testing"

func TestRedact(t *testing.T) {
	for raw, want := range map[string]string{
		"":                                      "",
		"nats://127.0.0.1:4222":                 "nats://127.0.0.1:4222",
		"nats://user:hush@a:4222":               "nats://***@a:4222",
		"nats://token@a":                        "nats://***@a",
		"nats://user:hush@a,tls://b":            "nats://***@a,tls://b",
		"nats://user:hush@a, nats://u:h@b":      "nats://***@a, nats://***@b",
		"nats://user:hu,sh@a":                   "nats://***@a",
		"nats://user:hu@sh@a":                   "nats://***@a",
		"nats://user:hu/s?h#@a":                 "nats://***",
		"user:hush@a:4222":                      "***@a:4222",
		"nats://a,user:hush@b":                  "nats://***@b",
		"wss://a/path?token=hush":               "wss://a/***",
		"https://user:%zz@gateway.example:8043": "https://***@gateway.example:8043",
		"nats://idle:1234#hush@a:4222":          "nats://***",
		"nats://hu#sh@a":                        "nats://***",
		"nats://a#hush":                         "nats://a/***",
		"nats://idle:hush":                      "nats://***",
		"nats://a:4222/":                        "nats://a:4222/",
		"nats://[::1]:4222,nats://[fe80::1%a]":  "nats://[::1]:4222,nats://[fe80::1%a]",
		"hush:with://hush":                      "***",
	} {
		if got := Redact(raw); got != want {
			t.Errorf("Redact(%q) = %q, want %q", raw, got, want)
		}
	}
}
