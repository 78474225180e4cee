CREATE TABLE "batches" (
	"id" serial PRIMARY KEY NOT NULL,
	"netuid" integer NOT NULL,
	"benchmark" text NOT NULL,
	"started_at" timestamp with time zone NOT NULL,
	"deadline" timestamp with time zone NOT NULL,
	"closed_at" timestamp with time zone,
	"counts" boolean DEFAULT true NOT NULL,
	"scored_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "jobs" (
	"uuid" uuid PRIMARY KEY NOT NULL,
	"batch_id" integer,
	"miner_hotkey" text NOT NULL,
	"miner_uid" integer NOT NULL,
	"miner_address" text NOT NULL,
	"executor_class" text,
	"image" text,
	"state" text NOT NULL,
	"reason" text,
	"seconds" double precision,
	"score" double precision,
	"right_answer" boolean,
	"exit_status" integer,
	"stdout" text,
	"stderr" text,
	"created_at" timestamp with time zone NOT NULL,
	"accepted_at" timestamp with time zone,
	"ready_at" timestamp with time zone,
	"running_at" timestamp with time zone,
	"ended_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "weight_settings" (
	"id" serial PRIMARY KEY NOT NULL,
	"netuid" integer NOT NULL,
	"hotkey" text NOT NULL,
	"state" text NOT NULL,
	"basis" text NOT NULL,
	"batch_ids" integer[] NOT NULL,
	"scores" jsonb NOT NULL,
	"uids" integer[] NOT NULL,
	"weights" integer[] NOT NULL,
	"version_key" bigint NOT NULL,
	"planned_at" timestamp with time zone NOT NULL,
	"ended_at" timestamp with time zone,
	"block" integer,
	"block_hash" text,
	"refusal" text
);
--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_batch_id_batches_id_fk" FOREIGN KEY ("batch_id") REFERENCES "public"."batches"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "jobs_batch_id" ON "jobs" USING btree ("batch_id");--> statement-breakpoint
CREATE INDEX "jobs_state" ON "jobs" USING btree ("state");--> statement-breakpoint
CREATE INDEX "weight_settings_state" ON "weight_settings" USING btree ("netuid","hotkey","state");