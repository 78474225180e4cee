CREATE TABLE "jobs" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "jobs_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"validator" text NOT NULL,
	"uuid" text NOT NULL,
	"uuid_key" text NOT NULL,
	"executor_class" text NOT NULL,
	"image_name" text,
	"timeout_seconds" bigint,
	"volume_type" text NOT NULL,
	"executor_token" text NOT NULL,
	"state" text NOT NULL,
	"reason" text,
	"result" json,
	"offered_at" timestamp with time zone NOT NULL,
	"ready_at" timestamp with time zone,
	"started_at" timestamp with time zone,
	"ended_at" timestamp with time zone,
	"delivered_at" timestamp with time zone
);
--> statement-breakpoint
CREATE UNIQUE INDEX "jobs_validator_uuid" ON "jobs" USING btree ("validator","uuid_key");--> statement-breakpoint
CREATE INDEX "jobs_state" ON "jobs" USING btree ("state");--> statement-breakpoint
CREATE INDEX "jobs_due" ON "jobs" USING btree ("validator","delivered_at","ended_at");