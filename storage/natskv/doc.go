// Package natskv keeps sealed records in a JetStream key-value bucket, so that the replicas of a cluster share them.
//
// A record's revision is the sequence of the message that holds it: it rises over the life of the bucket and is never
// given twice. Every write names the revision that it replaces, and the server refuses it where another came first. Reads
// ask the leader of the bucket's stream, not whichever server is near, so that what was saved is what is read, whoever
// saved it.
//
// A write is durable when the servers that keep the bucket have taken it (Config.Replicas, a majority of them). When they
// put it on their disks is theirs to say: where one server keeps the bucket alone, set its jetstream sync_interval to
// "always".
package natskv
