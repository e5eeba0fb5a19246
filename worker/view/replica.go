package view

import "time"

// The roles that a process of the worker plays.
const (
	RoleStarting = "starting"
	RoleOwner    = "owner"
	RoleStandby  = "standby"
)

// Replica is one process that stands for the site, as it says of itself.
type Replica struct {
	Name    string    `json:"name"`
	Role    string    `json:"role"` // RoleStarting, RoleOwner or RoleStandby
	Since   time.Time `json:"since"`
	Owner   string    `json:"owner"`   // the owner's name, as far as it is known
	Trouble string    `json:"trouble"` // what keeps it from taking part; empty: nothing
}
