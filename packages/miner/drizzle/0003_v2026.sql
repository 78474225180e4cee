CREATE TABLE "pins" (
	"validator" text PRIMARY KEY NOT NULL,
	"until" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "receipts" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "receipts_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"validator" text NOT NULL,
	"job_uuid" text NOT NULL,
	"receipt_type" text NOT NULL,
	"payload" json NOT NULL,
	"validator_signature" text NOT NULL,
	"miner_signature" text NOT NULL,
	"stored_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "offer" json;--> statement-breakpoint
CREATE UNIQUE INDEX "receipts_of_job" ON "receipts" USING btree ("validator","job_uuid","receipt_type");--> statement-breakpoint
CREATE INDEX "receipts_stored" ON "receipts" USING btree ("stored_at");